// SPDX-License-Identifier: Apache-2.0
//! What probes and hooks do: an HTTP request, a connection, a command, a question by gRPC.
//!
//! Source: Kubernetes' `pkg/probe`, whose messages people know.
//! Invariants: every action ends within its time; an answer's body is not read.
//! Depends on: plan, hyper.

mod grpc;

use std::ffi::OsString;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request};
use http_body_util::Empty;
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::{ContainerPort, ExecAction, HTTPGetAction, LifecycleHandler, Probe, TCPSocketAction};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use tokio::net::TcpStream;

use super::plan;
use super::process::Process;

/// As which the data plane knows a probe.
const AGENT: &str = "kube-probe/1.35";

/// Where an action takes place.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// The pod's address.
    pub ip: Ipv4Addr,
    /// The container's attempt.
    pub attempt: PathBuf,
    /// The container's cgroup.
    pub cgroup: PathBuf,
    /// Who starts commands.
    pub starter: (PathBuf, Vec<OsString>),
}

/// An action.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Action {
    /// A GET.
    Http {
        /// The host; the pod's address if none is given.
        host: Option<String>,
        /// The port.
        port: u16,
        /// The path, with its query.
        path: String,
        /// Further headers.
        headers: Vec<(String, String)>,
        /// Whether TLS is asked for.
        is_https: bool,
    },
    /// A connection.
    Tcp {
        /// The host; the pod's address if none is given.
        host: Option<String>,
        /// The port.
        port: u16,
    },
    /// A command in the container.
    Exec(Vec<String>),
    /// `grpc.health.v1.Health/Check`.
    Grpc {
        /// The port.
        port: u16,
        /// The service that is asked for.
        service: String,
    },
    /// Some time.
    Sleep(Duration),
}

impl Action {
    /// Of a probe.
    ///
    /// # Errors
    /// Why it never can be done.
    pub(super) fn of_probe(probe: &Probe, ports: &[ContainerPort]) -> Result<Self, String> {
        if let Some(grpc) = &probe.grpc {
            let port = number(&IntOrString::Int(grpc.port), ports)?;
            let service = grpc.service.clone().unwrap_or_default();
            return Ok(Self::Grpc { port, service });
        }
        of(
            probe.http_get.as_ref(),
            probe.tcp_socket.as_ref(),
            probe.exec.as_ref(),
            ports,
        )
    }

    /// Of a hook.
    ///
    /// # Errors
    /// Why it never can be done.
    pub(super) fn of_hook(hook: &LifecycleHandler, ports: &[ContainerPort]) -> Result<Self, String> {
        if let Some(sleep) = &hook.sleep {
            return Ok(Self::Sleep(Duration::from_secs(sleep.seconds.unsigned_abs())));
        }
        of(
            hook.http_get.as_ref(),
            hook.tcp_socket.as_ref(),
            hook.exec.as_ref(),
            ports,
        )
    }

    /// Does it.
    ///
    /// # Errors
    /// Why it failed, in Kubernetes' words.
    pub(super) async fn perform(&self, place: &Place, limit: Duration) -> Result<(), String> {
        let done = async {
            match self {
                Self::Http { .. } => self.get(place).await,
                Self::Tcp { host, port } => {
                    let address = address(host.as_deref(), place, *port)?;
                    connect(address).await.map(drop)
                }
                Self::Exec(command) => run(command, place).await,
                Self::Grpc { port, service } => {
                    grpc::check(connect(SocketAddr::from((place.ip, *port))).await?, service, AGENT).await
                }
                Self::Sleep(time) => {
                    tokio::time::sleep(*time).await;
                    Ok(())
                }
            }
        };
        let late = || match self {
            Self::Exec(command) => format!("command {:?} timed out", command.join(" ")),
            _ => "context deadline exceeded (Client.Timeout exceeded while awaiting headers)".to_owned(),
        };
        tokio::time::timeout(limit, done).await.unwrap_or_else(|_| Err(late()))
    }

    async fn get(&self, place: &Place) -> Result<(), String> {
        let Self::Http {
            host,
            port,
            path,
            headers,
            is_https,
        } = self
        else {
            return Ok(());
        };
        if *is_https {
            return Err("scheme HTTPS: standalone's probes speak HTTP only".to_owned());
        }
        let address = address(host.as_deref(), place, *port)?;
        let path = if path.starts_with('/') {
            path.clone()
        } else {
            format!("/{path}")
        };
        let url = format!("http://{address}{path}");
        let said = |error: String| format!("Get {url:?}: {error}");
        let stream = connect(address).await.map_err(said)?;
        let mut request = Request::get(&path)
            .body(Empty::<Bytes>::new())
            .map_err(|error| said(error.to_string()))?;
        let fields = request.headers_mut();
        let host = HeaderValue::try_from(address.to_string()).map_err(|error| error.to_string())?;
        fields.insert(http::header::HOST, host);
        fields.insert(http::header::USER_AGENT, HeaderValue::from_static(AGENT));
        fields.insert(http::header::ACCEPT, HeaderValue::from_static("*/*"));
        fields.insert(http::header::CONNECTION, HeaderValue::from_static("close"));
        for (name, value) in headers {
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
                fields.insert(name, value);
            }
        }
        let shake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = shake.map_err(|error| said(error.to_string()))?;
        let answer = sender.send_request(request);
        tokio::pin!(answer);
        let answer = tokio::select! {
            biased;
            answer = &mut answer => answer,
            // It may have brought the answer with its last breath.
            _ = connection => answer.await,
        };
        let status = answer.map_err(|error| said(error.to_string()))?.status().as_u16();
        if (200..400).contains(&status) {
            return Ok(());
        }
        Err(format!("HTTP probe failed with statuscode: {status}"))
    }
}

fn of(
    http: Option<&HTTPGetAction>,
    tcp: Option<&TCPSocketAction>,
    exec: Option<&ExecAction>,
    ports: &[ContainerPort],
) -> Result<Action, String> {
    let plain = |host: &Option<String>| host.clone().filter(|host| !host.is_empty());
    if let Some(http) = http {
        let headers = http.http_headers.iter().flatten();
        return Ok(Action::Http {
            host: plain(&http.host),
            port: number(&http.port, ports)?,
            path: http.path.clone().unwrap_or_default(),
            headers: headers
                .map(|header| (header.name.clone(), header.value.clone()))
                .collect(),
            is_https: http.scheme.as_deref() == Some("HTTPS"),
        });
    }
    if let Some(tcp) = tcp {
        return Ok(Action::Tcp {
            host: plain(&tcp.host),
            port: number(&tcp.port, ports)?,
        });
    }
    let exec = exec.ok_or("it names no action: give it httpGet, tcpSocket, exec, grpc (probes) or sleep (hooks)")?;
    Ok(Action::Exec(exec.command.clone().unwrap_or_default()))
}

/// The number of a port that may have a name.
fn number(port: &IntOrString, ports: &[ContainerPort]) -> Result<u16, String> {
    let number = match port {
        IntOrString::Int(number) => *number,
        IntOrString::String(name) => {
            let mut named = ports.iter().filter(|port| port.name.as_ref() == Some(name));
            let named = named.next().map(|port| port.container_port);
            named.or_else(|| name.parse().ok()).ok_or_else(|| {
                format!("port {name:?} is no number, and no port of the container has this name (ports[].name)")
            })?
        }
    };
    let valid = u16::try_from(number).ok().filter(|number| *number > 0);
    valid.ok_or_else(|| format!("port {number} is not between 1 and 65535"))
}

fn address(host: Option<&str>, place: &Place, port: u16) -> Result<SocketAddr, String> {
    let ip = match host {
        None => IpAddr::V4(place.ip),
        Some(host) => host
            .parse()
            .map_err(|_| format!("the host {host} of the probe is no address"))?,
    };
    Ok(SocketAddr::new(ip, port))
}

async fn connect(address: SocketAddr) -> Result<TcpStream, String> {
    TcpStream::connect(address).await.map_err(|error| match error.kind() {
        io::ErrorKind::ConnectionRefused => format!("dial tcp {address}: connect: connection refused"),
        _ => format!("dial tcp {address}: {error}"),
    })
}

/// Ends the command if nobody waits for it any more.
struct Running(std::process::Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn run(command: &[String], place: &Place) -> Result<(), String> {
    let said = |error: io::Error| format!("exec {command:?}: {error}");
    let out = place.attempt.join("command.out");
    let file = std::fs::File::create(&out).map_err(said)?;
    let (program, arguments) = &place.starter;
    let child = Command::new(program)
        .args(arguments)
        .args([plan::COMMAND, "visit"])
        .args([&place.attempt, &place.cgroup])
        .args(command)
        .stdin(Stdio::null())
        .stdout(file.try_clone().map_err(said)?)
        .stderr(file)
        .spawn()
        .map_err(said)?;
    let mut child = Running(child);
    let process = Process::of(child.0.id().cast_signed()).map_err(said)?;
    process.ended().await;
    let status = child.0.wait().map_err(said)?;
    if status.success() {
        return Ok(());
    }
    let mut text = String::from_utf8_lossy(&std::fs::read(&out).unwrap_or_default()).into_owned();
    let most = text.char_indices().nth(1024).map_or(text.len(), |(at, _)| at);
    text.truncate(most);
    Err(format!(
        "command {:?} exited with {}: {text}",
        command.join(" "),
        status.code().unwrap_or(137)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn of(probe: Value) -> Result<Action, String> {
        let ports = [ContainerPort {
            name: Some("web".to_owned()),
            container_port: 8080,
            ..ContainerPort::default()
        }];
        Action::of_probe(&serde_json::from_value(probe).unwrap(), &ports)
    }

    #[test]
    fn a_port_is_a_number_or_a_name_or_the_probe_says_why_not() {
        let port_of = |port: Value| match of(json!({"tcpSocket": {"port": port}})) {
            Ok(Action::Tcp { port, .. }) => Ok(port),
            Ok(other) => Err(format!("{other:?}")),
            Err(message) => Err(message),
        };
        assert_eq!(port_of(json!("web")), Ok(8080));
        assert_eq!(port_of(json!("81")), Ok(81));
        assert_eq!(port_of(json!(82)), Ok(82));
        for (port, words) in [
            (json!("wbe"), "port \"wbe\" is no number, and no port"),
            (json!(0), "port 0 is not between"),
            (json!(70_000), "port 70000 is not between"),
        ] {
            let message = port_of(port).unwrap_err();
            assert!(message.starts_with(words), "{message}");
        }
        assert!(of(json!({"grpc": {"port": -1}})).is_err());
        assert!(of(json!({})).unwrap_err().starts_with("it names no action"));
    }
}
