// SPDX-License-Identifier: Apache-2.0
//! A gateway with one revision, an application that says what it got, certificates, and clients of hyper and rustls.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use life::Tasks;
use logic::limiter;
use logic::traffic::{BackendPort, Destination, PathRule, Rule, Split};
use proxy::{
    Certificate, Certificates, Door, Entry, Front, Health, Identity, Inside, Limits, Logging, NextHop, Origin, Peers,
    PodProtocol, Probes, Revision, Revisions, Tables, Timeouts, Visibility,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

pub(crate) const HOST: &str = "app.example.com";

/// A gateway's parts, to open listeners with.
pub(crate) struct Rig {
    pub(crate) tasks: Tasks,
    pub(crate) tables: Tables,
    pub(crate) certificates: Arc<Certificates>,
    pub(crate) revision: Arc<Revision>,
    pub(crate) peers: Option<Arc<Peers>>,
    revisions: Arc<Revisions>,
}

impl Rig {
    /// With an application behind the revision `ns/rev`, which `app.example.com` leads to.
    pub(crate) async fn new() -> Self {
        Self::speaking(PodProtocol::Http1).await
    }

    /// The same, with pods spoken to in this protocol.
    pub(crate) async fn speaking(protocol: PodProtocol) -> Self {
        let rig = Self::without_pods_speaking(protocol);
        let app = app(&rig.tasks).await;
        rig.revision.set_pods(&[(app, true)]);
        rig
    }

    pub(crate) fn without_pods() -> Self {
        Self::without_pods_speaking(PodProtocol::Http1)
    }

    /// Its pods do what `serve` does with a connection.
    pub(crate) async fn with_pod<F>(protocol: PodProtocol, serve: impl Fn(TcpStream) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let rig = Self::without_pods_speaking(protocol);
        let pod = serving(&rig.tasks, serve).await;
        rig.revision.set_pods(&[(pod, true)]);
        rig
    }

    pub(crate) fn without_pods_speaking(protocol: PodProtocol) -> Self {
        Self::of(protocol, limiter::Settings::new(0))
    }

    /// A node's, whose revision may have pods on others; a pod has one request at once.
    pub(crate) fn on_node(name: &str) -> Self {
        let mut rig = Self::of(PodProtocol::Http1, limiter::Settings::new(1));
        let peers = Peers::new(name, Limits::default(), &rig.tasks).unwrap();
        peers.join(&rig.revision);
        rig.peers = Some(peers);
        rig
    }

    fn of(protocol: PodProtocol, settings: limiter::Settings) -> Self {
        let revision = revision(protocol, settings, Duration::from_secs(20));
        let revisions = Arc::new(Revisions::default());
        revisions.insert(Arc::clone(&revision));
        let rig = Self {
            tasks: Tasks::new(),
            tables: Tables::default(),
            certificates: Arc::new(Certificates::new().unwrap()),
            revision,
            peers: None,
            revisions,
        };
        rig.lead(vec![(Visibility::External, rule(HOST, to_app()))]);
        rig
    }

    /// As if it were no more.
    pub(crate) fn remove_revision(&self) {
        self.revisions.remove("ns", "rev");
    }

    /// Replaces the routes.
    pub(crate) fn lead(&self, rules: Vec<(Visibility, Rule<Destination>)>) {
        assert_eq!(self.tables.replace(rules), []);
    }

    pub(crate) fn https(&self) -> Front {
        Front {
            tls: Some(Arc::clone(&self.certificates)),
            ..Front::default()
        }
    }

    pub(crate) async fn listen(&self, front: Front) -> SocketAddr {
        self.listen_within(front, Limits::default()).await
    }

    pub(crate) async fn listen_within(&self, front: Front, limits: Limits) -> SocketAddr {
        self.open(any_port().await, front, limits, None)
    }

    /// Whose connections have little room for what is sent to clients: most writes find it full.
    pub(crate) fn listen_narrow(&self, front: Front, limits: Limits) -> SocketAddr {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_send_buffer_size(8 << 10).unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        self.open(socket.listen(100).unwrap(), front, limits, None)
    }

    /// For clients that were all redirected from one address.
    pub(crate) async fn listen_inside(&self, origin: &Arc<Origin>) -> SocketAddr {
        let origin = Arc::clone(origin);
        let inside = Inside {
            origin: Arc::new(move |_, _| Some(Arc::clone(&origin))),
        };
        self.open(any_port().await, Front::default(), Limits::default(), Some(inside))
    }

    fn open(&self, listener: TcpListener, front: Front, limits: Limits, inside: Option<Inside>) -> SocketAddr {
        let address = listener.local_addr().unwrap();
        let entry = Entry::ByRoute(Arc::clone(&self.revisions), self.tables.of(front.visibility));
        let door = Door {
            front,
            inside,
            limits,
            peers: self.peers.clone(),
            ..door(entry, &self.tasks)
        };
        self.tasks.spawn("listener", proxy::listen(listener, Arc::new(door)));
        address
    }
}

/// The revision `ns/rev`, whose requests may take so long.
pub(crate) fn revision(protocol: PodProtocol, settings: limiter::Settings, request: Duration) -> Arc<Revision> {
    let identity = Identity {
        namespace: "ns".to_owned(),
        name: "rev".to_owned(),
        ..Identity::default()
    };
    let timeouts = Timeouts {
        request,
        ..Timeouts::default()
    };
    Revision::with_protocol(identity, timeouts, settings, protocol)
}

/// A gateway's, of which nothing is special but where it leads.
pub(crate) fn door(entry: Entry, tasks: &Tasks) -> Door {
    Door {
        entry,
        front: Front::default(),
        probes: Probes::Gateway,
        inside: None,
        next: NextHop::App { restore_host: false },
        limits: Limits::default(),
        timeout_text: "request timeout",
        cluster_domain: "cluster.local".to_owned(),
        log: Logging::default(),
        peers: None,
        health: Health::default(),
        tasks: tasks.clone(),
    }
}

async fn any_port() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

pub(crate) fn to_app() -> Destination {
    Destination::new("ns", "rev", BackendPort::Number(80))
}

pub(crate) fn rule(host: &str, to: Destination) -> Rule<Destination> {
    Rule {
        owner: host.to_owned(),
        hosts: vec![host.to_owned()],
        paths: vec![PathRule {
            prefix: String::new(),
            conditions: Vec::new(),
            split: Split::whole(to),
        }],
    }
}

/// An address where this is done with each connection.
pub(crate) async fn serving<F>(tasks: &Tasks, serve: impl Fn(TcpStream) -> F + Send + 'static) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = any_port().await;
    let address = listener.local_addr().unwrap();
    let inner = tasks.clone();
    tasks.spawn("server", async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            inner.spawn("server's connection", serve(stream));
        }
    });
    address
}

/// Says what it got: version, method, target, then the headers, a line each.
pub(crate) async fn app(tasks: &Tasks) -> SocketAddr {
    let serve = |stream| async move {
        let server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
        let service = hyper::service::service_fn(answer);
        drop(server.serve_connection(TokioIo::new(stream), service).await);
    };
    serving(tasks, serve).await
}

async fn answer(request: hyper::Request<Incoming>) -> Result<hyper::Response<Full<Bytes>>, hyper::Error> {
    let (head, body) = request.into_parts();
    let mut said = format!("{:?} {} {}\n", head.version, head.method, head.uri);
    for (name, value) in &head.headers {
        said += &format!("{name}: {}\n", String::from_utf8_lossy(value.as_bytes()));
    }
    let body = body.collect().await?.to_bytes();
    said += &format!("\n{}", String::from_utf8_lossy(&body));
    Ok(hyper::Response::new(Full::new(said.into())))
}

/// A certificate for these names, and who would believe it.
pub(crate) fn certificate(names: &[&str]) -> (Certificate, CertificateDer<'static>) {
    let subjects: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    let made = rcgen::generate_simple_self_signed(subjects).unwrap();
    let chain_pem = made.cert.pem().into_bytes();
    let der = CertificateDer::from_pem_slice(&chain_pem).unwrap();
    let certificate = Certificate {
        source: names.concat(),
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        chain_pem,
        key_pem: made.signing_key.serialize_pem().into_bytes(),
    };
    (certificate, der)
}

/// A client that believes these, and offers these protocols.
pub(crate) fn client(
    believed: &[CertificateDer<'static>],
    alpn: &[&str],
    versions: &[&'static SupportedProtocolVersion],
) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for certificate in believed {
        roots.add(certificate.clone()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    Arc::new(config)
}

/// Shakes hands.
pub(crate) async fn connect(
    gateway: SocketAddr,
    config: &Arc<ClientConfig>,
    host: &str,
) -> std::io::Result<TlsStream<TcpStream>> {
    connect_over(TcpStream::connect(gateway).await?, config, host).await
}

/// Shakes hands on this stream.
pub(crate) async fn connect_over(
    stream: TcpStream,
    config: &Arc<ClientConfig>,
    host: &str,
) -> std::io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from(host.to_owned()).unwrap();
    TlsConnector::from(Arc::clone(config)).connect(name, stream).await
}

/// The certificate that a client was shown.
pub(crate) fn shown(stream: &TlsStream<TcpStream>) -> CertificateDer<'static> {
    stream.get_ref().1.peer_certificates().unwrap()[0].clone()
}

/// An answer, all of it.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) status: u16,
    pub(crate) headers: hyper::HeaderMap,
    pub(crate) body: String,
}

/// A request without a body.
pub(crate) fn get(uri: &str) -> hyper::Request<Full<Bytes>> {
    let request = hyper::Request::get(uri);
    let host = uri
        .parse::<hyper::Uri>()
        .unwrap()
        .host()
        .map_or(HOST.to_owned(), str::to_owned);
    request.header("host", host).body(Full::default()).unwrap()
}

/// A client of HTTP/1.1 on this stream.
pub(crate) async fn one<S>(stream: S, tasks: &Tasks) -> hyper::client::conn::http1::SendRequest<Full<Bytes>>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .unwrap();
    tasks.spawn("client", async move { drop(connection.with_upgrades().await) });
    sender
}

/// A client of HTTP/2 on this stream.
pub(crate) async fn two<S>(stream: S, tasks: &Tasks) -> hyper::client::conn::http2::SendRequest<Full<Bytes>>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let io = TokioIo::new(stream);
    let (sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io)
        .await
        .unwrap();
    tasks.spawn("client", async move { drop(connection.await) });
    sender
}

/// The whole answer.
pub(crate) async fn said(answer: hyper::Result<hyper::Response<Incoming>>) -> Said {
    let (head, body) = answer.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Said {
        status: head.status.as_u16(),
        headers: head.headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
    }
}

/// One request over plain HTTP/1.1.
pub(crate) async fn ask(gateway: SocketAddr, request: hyper::Request<Full<Bytes>>) -> Said {
    let tasks = Tasks::new();
    let mut sender = one(TcpStream::connect(gateway).await.unwrap(), &tasks).await;
    let said = said(sender.send_request(request).await).await;
    tasks.stop().await;
    said
}
