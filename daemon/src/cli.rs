// SPDX-License-Identifier: Apache-2.0
//! Arguments and environment, as text becomes settings.
//!
//! Invariants: the only place that reads the environment; nothing is opened here.
//! Depends on: clap, kernel (settings).

mod logs;

pub(crate) use logs::Logs;

use std::{
    ffi::{OsStr, OsString},
    io::{self, IsTerminal as _},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};
use kernel::{Refuse, Settings};

const ABOUT: &str =
    "Knative Serving without sidecars: requests counted in the kernel, settings and manifests tried on any machine";

const EXIT_CODES: &str = "\
Exit codes:
  0  as asked
  1  something went wrong
  2  the arguments make no sense
  3  a privilege is missing (root, or CAP_BPF, CAP_PERFMON, CAP_NET_ADMIN; CAP_SYS_ADMIN for other network namespaces)
  4  the kernel or the machine lacks something (see `sluice check`)
  5  the pin folder is in use by another process, or holds what is not ours
  6  what was asked for is not there, or went away: process, cgroup, network namespace, listening port

Environment:
  NO_COLOR  when set and not empty: no colours, on a terminal either";

/// The command line.
#[derive(Debug, Parser)]
#[command(name = "sluice", bin_name = called_as(), version, about = ABOUT, after_long_help = EXIT_CODES)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Watch the requests of any HTTP server on this machine, live
    #[command(long_about = TOP_LONG)]
    Top(Top),
    /// Say what this kernel offers, and how exactly it lets us count
    #[command(long_about = CHECK_LONG)]
    Check(Check),
    /// Remove everything that is pinned and attached, and list it
    Cleanup(Cleanup),
    /// Carry requests to pods, by a file of routes
    #[command(long_about = PROXY_LONG)]
    Proxy(Proxy),
    /// Run Knative services on this machine alone: API, controllers, gateway, pods as processes
    #[command(long_about = STANDALONE_LONG)]
    Standalone(Box<Standalone>),
    /// Show what a pod wrote, or all pods of a service
    Logs(Logs),
    /// Serve a few paths over HTTP/1.1 and HTTP/2, to try the rest on
    Sample(Sample),
    /// Play a trace against the autoscaler, to see what settings would do
    #[command(long_about = SIMULATE_LONG)]
    Simulate(Simulate),
    /// Say what the API server would say to manifests, without one
    #[command(long_about = VALIDATE_LONG)]
    Validate(Validate),
}

/// How the program was called: as itself, or as a plugin.
fn called_as() -> &'static str {
    let path = std::env::args_os().next().unwrap_or_default();
    bin_name(Path::new(&path).file_name().unwrap_or_default())
}

/// The name under which the program is `sluice sample`.
pub(crate) const SAMPLE: &str = "sluice-sample";

/// The arguments, with the command that the program's name stands for.
pub(crate) fn arguments() -> Vec<OsString> {
    let mut arguments: Vec<_> = std::env::args_os().collect();
    let file = arguments.first().and_then(|path| Path::new(path).file_name());
    if file.is_some_and(|file| file == SAMPLE) {
        arguments.insert(1, "sample".into());
    }
    arguments
}

fn bin_name(file: &OsStr) -> &'static str {
    match file.to_str() {
        Some("kubectl-sluice") => "kubectl sluice",
        Some("kn-sluice") => "kn sluice",
        _ => "sluice",
    }
}

const TOP_LONG: &str = "\
Watch the requests of any HTTP server on this machine, live: in flight, mean concurrency, rate, latency, status classes, \
connections. HTTP/1.1 and HTTP/2 without TLS are read in the kernel; the server is not touched and needs no restart.

Name the server by its cgroup, by a process, or by its network namespace. A socket belongs to the cgroup that its process \
was in when the socket was made: a server that was moved into a cgroup after it began to listen is counted where it began.

Connections that are older than the counting cannot be counted; they are shown as unaccounted, never as zero.

Counting is pinned under --pin-dir: it goes on when `sluice top` is killed, and the next one takes it over, totals and all. \
When `sluice top` ends (q, Ctrl-C, SIGTERM) nothing stays behind, unless --keep.";

const TOP_EXAMPLES: &str = "\
Examples:
  sluice top --pid $(pidof my-server)    the one port that it listens on
  sluice top --cgroup system.slice/my.service --port 8080
                                         a service, by its cgroup
  sluice top --netns blue --port 80 --port 9090
                                         two ports, a row each
  sluice top --pid 4711 -o json --count 10 | jq .in_flight
                                         ten lines, one a second
  sluice top --pid 4711 --keep --once    count from now on, look again later

One JSON object a line and port (-o json); what cannot be known is null:
  schema               1; grows when a field changes its meaning
  time                 seconds since 1970
  target, cgroup, port what is counted; netns is the namespace's cookie
  tier, counted_as     exact | connections; requests | connections
  in_flight, started, ended
                       now; the other two since counting began
  concurrency          exact mean over 1, 10, 60 s, or what there is of it:
                       {\"1s\",\"10s\",\"60s\"}
  observed_seconds     how far back the means can look
  requests_per_second  over the last interval
  latency_ms           {p50,p90,p99} of the last 10 s
  status               answers by class since counting began:
                       {\"1xx\"…\"5xx\",unknown}
  status_per_second    the same, over the last 10 s
  connections          {open,total,opaque,http2,tunnels,uncertain,
                       unaccounted,aborted,not_counted}
  probes               requests and connections of probes, in nothing else
  bytes                {in,out} since counting began
  bytes_per_second     the same, over the last interval
  listening            whether somebody still listens on the port
  attached             whether all programs that count it still run, asked
                       every 10 s; false = figures are wrong
  read_only            true = another sluice counts, this one looks on";

/// `sluice top`
#[derive(Debug, Args)]
#[command(after_long_help = TOP_EXAMPLES, after_help = "`sluice top --help` has examples and the fields of -o json")]
#[command(group(ArgGroup::new("server").required(true).args(["cgroup", "pid", "netns"])))]
pub(crate) struct Top {
    /// The server's cgroup: a path below the cgroup2 mount, or absolute
    #[arg(long, value_name = "PATH")]
    pub(crate) cgroup: Option<PathBuf>,
    /// A process of the server
    #[arg(long, value_name = "PID")]
    pub(crate) pid: Option<u32>,
    /// The server's network namespace: a name of `ip netns`, or a path
    #[arg(long, value_name = "NAME", requires = "port")]
    pub(crate) netns: Option<String>,
    /// The listening port, several times for several; not needed when there is exactly one
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) port: Vec<u16>,
    /// Time between two figures: 500ms, 1s, 1m
    #[arg(long, default_value = "1s", value_name = "TIME", value_parser = interval)]
    pub(crate) interval: Duration,
    /// How to show it
    #[arg(short, long, default_value = "table", value_name = "FORMAT")]
    pub(crate) output: Format,
    /// End after so many intervals
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,
    /// End after one interval
    #[arg(long, conflicts_with = "count")]
    pub(crate) once: bool,
    /// Leave the counting attached and pinned at the end
    #[arg(long)]
    pub(crate) keep: bool,
    #[command(flatten)]
    pub(crate) places: Places,
}

const CHECK_LONG: &str = "\
Say what this kernel offers, found by trying: each feature, what it is for, how much memory the maps take, and what is missing.

The last line has one word: exact (requests are counted), connections (only connections are), none (nothing is; without the \
privilege to look, this too). The programs are loaded into a folder beside the pin folder, and two requests are sent over the \
loopback to a server in a cgroup made for it; folder, server and cgroup are removed at once, and nothing else is attached to.

Ends with 0 when counting is possible, 3 when privileges are missing, 4 when something else is.";

/// `sluice check`
#[derive(Debug, Args)]
pub(crate) struct Check {
    /// How to show it; JSON is one object in one line
    #[arg(short, long, default_value = "table", value_name = "FORMAT")]
    pub(crate) output: Format,
    #[command(flatten)]
    pub(crate) places: Places,
}

/// `sluice cleanup`
#[derive(Debug, Args)]
pub(crate) struct Cleanup {
    /// The --run-dir of a `sluice standalone` that was killed: its pods, devices, cgroups and mounts end
    #[arg(long, value_name = "PATH", default_value = "/run/sluice")]
    pub(crate) run_dir: PathBuf,
    #[command(flatten)]
    pub(crate) places: Places,
}

const SAMPLE_PATHS: &str = "\
Paths:
  / /hello    hello, and TARGET of the environment
  /?sleep=MS&prime=N&bloat=MB&fail=PERCENT
              works first: sleeps, computes, fills memory, fails now and then
  /sleep/MS   hello, after so many milliseconds
  /bytes/N    so many bytes, with Content-Length
  /status/N   that status
  /stream     ten lines, ten a second, chunked
  /events     the same as server-sent events
  /echo       what was sent, as it comes; over WebSocket message by message
  /health     200, or 503 after /health/fail and until /health/mend
  /peer       the address that it sees as its client's
  /crash      ends the server with exit code 1
  grpc.health.v1.Health/Check, over HTTP/2, as /health; of the server as a whole (another service: NOT_FOUND), and
              without Watch (UNIMPLEMENTED)

Environment:
  PORT        the port, on all addresses, unless --port or --listen say otherwise
  TARGET      whom it greets

Examples:
  sluice sample --port 8080 &
  sluice top --pid $!
  curl 'localhost:8080/?sleep=100&prime=10000&bloat=5'";

const PROXY_LONG: &str = "\
Carry requests to pods, by a file of routes: the request path alone, without a cluster. HTTP/1.1, HTTP/2, WebSocket, gRPC, with and \
without TLS. The file, and the certificates it names, are read again within a second of a change; one with a mistake changes nothing.";

const PROXY_FILE: &str = "\
The file:
  listen:
    - 0.0.0.0:8080
    - {address: 0.0.0.0:8443, tls: true}
    - {address: 0.0.0.0:8081, visibility: cluster-local}
  certificates:
    - {hosts: [shop.example.com, '*.example.com'], cert: tls.crt, key: tls.key}
  revisions:
    blue:  {pods: [127.0.0.1:9000, 127.0.0.1:9001], container_concurrency: 10, timeout_seconds: 60}
    green: {pods: [127.0.0.1:9002], protocol: h2c}
  routes:
    - {hosts: [shop.example.com], path: /v2, to: {blue: 90, green: 10}}
    - {hosts: [shop.example.com], to: {blue: 100}, http_option: Redirected}
    - {hosts: [shop.default.svc.cluster.local], to: {blue: 100}, visibility: cluster-local}
  limits: {head_time: 10s, request_head: 64Ki, connections: 10000}
  log: '{{.Request.Method}} {{.Request.RequestURI}} {{.Response.Code}}'

Example:
  sluice sample --port 9000 &
  sluice proxy --config proxy.yaml &
  curl --cacert ca.pem --connect-to ::127.0.0.1:8443 https://shop.example.com/hello

Restart without a refused client: start the next one with the same --handover, and the running one ends by itself:
  sluice proxy --config proxy.yaml --handover /run/sluice/proxy.sock

Every field: docs/request-path.md; HTTPS: docs/tls.md; restarts: docs/restart.md";

/// `sluice proxy`
#[derive(Debug, Args)]
#[command(after_long_help = PROXY_FILE, after_help = "`sluice proxy --help` has an example of the file")]
pub(crate) struct Proxy {
    /// The file of listeners, revisions and routes; read again when it changes
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// Threads; as many as cores when not given
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<std::num::NonZeroU16>,
    /// A socket where the next process that is started with it takes the listeners over: a restart without a refused client
    #[arg(long, value_name = "PATH")]
    pub(crate) handover: Option<PathBuf>,
    /// Where /metrics, /healthz and /spans are told
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) admin: Option<SocketAddr>,
    /// How long requests may go on when another process has taken over: 30s, 5m, up to 60m
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = interval)]
    pub(crate) drain: Duration,
}

/// `sluice sample`
#[derive(Debug, Args)]
#[command(after_help = SAMPLE_PATHS)]
pub(crate) struct Sample {
    /// The port; 0 = any, told in the first line [default: PORT, else 8080]
    #[arg(long)]
    port: Option<u16>,
    /// The address [default: all with PORT, else 127.0.0.1]
    #[arg(long, value_name = "ADDR")]
    listen: Option<IpAddr>,
    /// Join this cgroup first: a path below the cgroup2 mount, or absolute; it must be there
    #[arg(long, value_name = "PATH")]
    pub(crate) cgroup: Option<PathBuf>,
    /// End at once when the process that started it ends
    #[arg(long, hide = true)]
    pub(crate) with_parent: bool,
}

impl Sample {
    /// Where it listens: as a container is told, unless the arguments say otherwise.
    #[expect(clippy::disallowed_methods, reason = "this is the edge that reads the environment")]
    pub(crate) fn address(&self) -> SocketAddr {
        let told = std::env::var("PORT").ok().and_then(|port| port.parse().ok());
        let usual: IpAddr = match told {
            Some(_) if self.port.is_none() => Ipv4Addr::UNSPECIFIED.into(),
            _ => Ipv4Addr::LOCALHOST.into(),
        };
        SocketAddr::new(self.listen.unwrap_or(usual), self.port.or(told).unwrap_or(8080))
    }

    /// Whom it greets.
    #[expect(clippy::disallowed_methods, reason = "this is the edge that reads the environment")]
    pub(crate) fn target() -> Option<String> {
        std::env::var("TARGET").ok().filter(|target| !target.is_empty())
    }
}

const VALIDATE_LONG: &str = "\
Say what the API server and the webhooks of Knative would say to manifests, without a cluster: unknown fields, types, \
defaults, errors, warnings, in Knative's words, each with its file, line and field, and with the corrected form where it is known.

YAML or JSON, several documents, lists; `-` is standard input, a folder its *.yaml, *.yml and *.json. Objects of other kinds \
(Deployment, ConfigMap) are named and not judged. Every object is taken as new.";

const VALIDATE_EXITS: &str = "\
Exit codes:
  0  every object would be accepted
  1  something would be refused
  2  a file cannot be read, or the arguments make no sense

Examples:
  sluice validate service.yaml
  kubectl get ksvc hello -o yaml | sluice validate -
  sluice validate --config features.yaml -o json manifests/ | jq 'select(.verdict==\"refused\")'

One JSON object a line and object (-o json):
  file, document, line, kind, name
  verdict    accepted | refused | skipped
  findings   [{severity: error|warning|note, line, field, message, help}]
  defaulted  the object with its defaults, null unless accepted";

/// `sluice validate`
#[derive(Debug, Args)]
#[command(after_help = VALIDATE_EXITS)]
pub(crate) struct Validate {
    /// Manifests, or folders of them; `-`: standard input
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// The ConfigMaps of the cluster: config-defaults, config-features, config-autoscaler; what is absent is as installed
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Vec<PathBuf>,
    /// The namespace of objects that name none
    #[arg(short, long, value_name = "NAME", default_value = "default")]
    pub(crate) namespace: String,
    /// How unknown fields are taken, as by `kubectl apply --validate`
    #[arg(long, value_name = "HOW", default_value = "strict")]
    pub(crate) unknown_fields: UnknownFields,
    /// How to show it
    #[arg(short, long, default_value = "table", value_name = "FORMAT")]
    pub(crate) output: Format,
}

/// How unknown fields are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum UnknownFields {
    /// Refused, as kubectl does
    Strict,
    /// Warned of, as the API does
    Warn,
    /// Dropped in silence
    Ignore,
}

const SIMULATE_LONG: &str = "\
Play a trace against the autoscaler, to see what settings would do: pods over time, cold starts, waiting, pod-seconds.

The autoscaler and the limiter are those of the product; pods and time are a model. Needs no privilege and no cluster.

A trace has one of three formats, told by its content (--format forces one); `-` is stdin:
  requests   start_seconds,duration_seconds: a request a line, in order of start
  seconds    second,concurrency[,rps]: a load curve, a row a second
  scenarios  recorded samples as in Knative's tests, one JSON object a line; the pods are those of the record";

const SIMULATE_KEYS: &str = "\
Settings are the keys of config-autoscaler, the annotations without their prefix (target, window, min-scale, …), and
  profile    default | articles: Knative's defaults, or what articles say they are
  start-up   from the decision to a pod that takes requests [2s]
  capacity   requests that a pod runs at once; 0: any number [0]
  queue      requests that may wait [10000]
  pods       ready pods at the start [initial-scale]
  events     on | off: look at bursts between ticks, or only at ticks as Knative does [on]
  duration   of a request where the trace does not say [1s]
  tail       how long to go on after the last request [120s]
  seed       of the choice between pods [0]

Examples:
  sluice simulate --trace day.csv --set target=10 --set start-up=8s
  sluice simulate --trace day.csv --compare profile=default,articles
  sluice simulate --trace day.csv --compare window=30s,60s --compare events=on,off -o svg > day.svg
  sluice simulate --trace kpa-decider.jsonl -o json

docs/simulate.md says what each figure means.";

/// `sluice simulate`
#[derive(Debug, Args)]
#[command(after_help = SIMULATE_KEYS)]
pub(crate) struct Simulate {
    /// The trace; `-` is stdin
    #[arg(long, value_name = "FILE")]
    pub(crate) trace: PathBuf,
    /// A setting; several times for several
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    pub(crate) set: Vec<(String, String)>,
    /// Values of a setting to see side by side; given several times, all combinations
    #[arg(long, value_name = "KEY=V1,V2", value_parser = pair)]
    pub(crate) compare: Vec<(String, String)>,
    /// How to show it: lines for people, an object a line, a picture
    #[arg(short, long, default_value = "table", value_name = "FORMAT")]
    pub(crate) output: Shown,
    /// What the trace is, if its content does not tell
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<Trace>,
    /// Only scenarios with this in their name
    #[arg(long, value_name = "TEXT")]
    pub(crate) scenario: Option<String>,
}

/// How to show a simulation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shown {
    /// For people
    Table,
    /// One object a line
    Json,
    /// A picture
    Svg,
}

/// What a trace is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Trace {
    /// start_seconds,duration_seconds
    Requests,
    /// second,concurrency[,rps]
    Seconds,
    /// JSON lines
    Scenarios,
}

/// `key=value`.
fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() && !value.trim().is_empty() => {
            Ok((key.trim().to_owned(), value.trim().to_owned()))
        }
        _ => Err("must be KEY=VALUE, e.g. window=60s".to_owned()),
    }
}

/// How to show results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Table,
    /// One object a line
    Json,
}

const STANDALONE_LONG: &str = "\
Run Knative services on this machine alone. One process is the Kubernetes API (for Knative's kinds and what they need), the \
controllers, the autoscaler, the gateway and the kubelet; pods are processes in their own network namespace and cgroup. \
Requests are counted in the kernel, and a service without requests has no process.

The API has no login: --api must be an address that only its users reach.";

const STANDALONE_EXAMPLES: &str = "\
Examples:
  sluice standalone -f hello.yaml --image example.com/hello=./hello
                                         a service whose image is an executable
  curl http://hello.default.localhost:8080
                                         the first request starts it
  kubectl --server http://127.0.0.1:8001 get ksvc,revisions,pods
                                         the same from kubectl (or kn)

Images:
  --image NAME=PATH names where the image of a container is: an executable, a root folder, an OCI layout (folder or tar),
  or an archive of `docker save`. The image `sluice.dev/sample` is built in (see `sluice sample --help`).";

/// `sluice standalone`
#[derive(Debug, Args)]
#[command(after_long_help = STANDALONE_EXAMPLES, after_help = "`sluice standalone --help` has examples")]
pub(crate) struct Standalone {
    /// Manifests to apply at the start: files, folders, `-`
    #[arg(short = 'f', long = "filename", value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Where an image is: NAME=PATH
    #[arg(long = "image", value_name = "NAME=PATH", value_parser = image)]
    pub(crate) images: Vec<(String, PathBuf)>,
    /// Where clients come in
    #[arg(long, value_name = "ADDRESS", value_parser = address, default_value = "127.0.0.1:8080")]
    pub(crate) listen: SocketAddr,
    /// Where the Kubernetes API is served
    #[arg(long, value_name = "ADDRESS", value_parser = address, default_value = "127.0.0.1:8001")]
    pub(crate) api: SocketAddr,
    /// Where figures are, in Prometheus' format
    #[arg(long, value_name = "ADDRESS", value_parser = address, default_value = "127.0.0.1:9090")]
    pub(crate) metrics: SocketAddr,
    /// Keep all objects in this file; without it they end with the process
    #[arg(long, value_name = "FILE")]
    pub(crate) state: Option<PathBuf>,
    /// A file with the section `limits` of `sluice proxy`'s: bounds of the gateway
    #[arg(long, value_name = "FILE")]
    pub(crate) limits: Option<PathBuf>,
    /// The domain of services, NAME.NAMESPACE.DOMAIN, unless config-domain names one [default: localhost]
    #[arg(long, value_name = "NAME", value_parser = domain)]
    pub(crate) domain: Option<String>,
    /// Folder for what runs: logs, emptyDirs and writes of pods, their records, a kubeconfig
    #[arg(long, value_name = "PATH", default_value = "/run/sluice")]
    pub(crate) run_dir: PathBuf,
    /// The cgroup above those of the pods, below the cgroup2 mount; it is made
    #[arg(long, value_name = "PATH", default_value = "sluice")]
    pub(crate) cgroup: PathBuf,
    /// What the names of the pods' network devices begin with
    #[arg(long, value_name = "LETTERS", default_value = "slc", hide_short_help = true)]
    pub(crate) device_prefix: String,
    /// Addresses of pods
    #[arg(long, value_name = "CIDR", default_value = "10.244.0.0/16")]
    pub(crate) pod_cidr: String,
    /// Addresses of services
    #[arg(long, value_name = "CIDR", default_value = "10.96.0.0/16")]
    pub(crate) service_cidr: String,
    #[command(flatten)]
    pub(crate) places: Places,
}

impl Standalone {
    /// The domain of services where no setting names one.
    pub(crate) fn domain(&self) -> &str {
        self.domain.as_deref().unwrap_or("localhost")
    }
}

/// `ADDRESS:PORT`.
fn address(text: &str) -> Result<SocketAddr, String> {
    let parsed = text.parse();
    parsed.map_err(|_| "write ADDRESS:PORT with an address in figures, as in 127.0.0.1:8080".to_owned())
}

/// A domain that names may be put before.
fn domain(text: &str) -> Result<String, String> {
    let problems = logic::syntax::dns1123_subdomain(text);
    match problems.is_empty() {
        true => Ok(text.to_owned()),
        false => Err(problems.join("; ")),
    }
}

/// `NAME=PATH`. What runs the image stands in another folder, with another `PATH`: the place is fixed here.
fn image(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, path)) if !name.is_empty() && !path.is_empty() => {
            let path = std::path::absolute(path).map_err(|error| format!("{path} from the current folder: {error}"))?;
            Ok((name.to_owned(), path))
        }
        _ => Err("write NAME=PATH, as in example.com/hello=./hello".to_owned()),
    }
}

/// Where things are on this machine.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Places")]
pub(crate) struct Places {
    /// Where cgroup v2 is mounted, or a folder below it that nothing is attached outside of [default: found]
    #[arg(long, value_name = "PATH")]
    pub(crate) cgroup_root: Option<PathBuf>,
    /// Folder on a bpffs for what must outlive the process
    #[arg(long, value_name = "PATH", default_value = "/sys/fs/bpf/sluice")]
    pub(crate) pin_dir: PathBuf,
    /// Where procfs is mounted
    #[arg(long, value_name = "PATH", default_value = "/proc")]
    pub(crate) proc_root: PathBuf,
    /// Another BPF object than the one built in
    #[arg(long, value_name = "FILE")]
    pub(crate) object: Option<PathBuf>,
    /// Do without a kernel feature, to see what an older kernel would do
    #[arg(long, value_name = "FEATURE", hide_short_help = true)]
    pub(crate) refuse: Vec<Refusal>,
}

/// A feature that can be refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum Refusal {
    /// As before Linux 5.17: connections are counted, not requests
    BpfLoop,
    /// As before Linux 5.15: servers are known by address
    NetnsCookie,
    /// As before Linux 5.12: nothing is counted in the kernel
    Atomics,
}

impl Places {
    /// With the daemon's room in the maps.
    pub(crate) fn settings(&self) -> Settings {
        Settings {
            cgroup_root: self.cgroup_root.clone(),
            pin_dir: self.pin_dir.clone(),
            proc_root: self.proc_root.clone(),
            object: self.object.clone(),
            refuse: Refuse {
                bpf_loop: self.refuse.contains(&Refusal::BpfLoop),
                netns_cookie: self.refuse.contains(&Refusal::NetnsCookie),
                atomics: self.refuse.contains(&Refusal::Atomics),
            },
            ..Settings::default()
        }
    }
}

/// What the output may look like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Looks {
    /// stdout is a terminal that can be redrawn.
    pub(crate) terminal: bool,
    /// Colours on stdout.
    pub(crate) colour: bool,
    /// Colours on stderr.
    pub(crate) colour_errors: bool,
}

impl Looks {
    #[expect(clippy::disallowed_methods, reason = "this is the edge that reads the environment")]
    pub(crate) fn of_environment() -> Self {
        let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let terminal = io::stdout().is_terminal() && !is_dumb;
        Self {
            terminal,
            colour: terminal && !no_colour,
            colour_errors: io::stderr().is_terminal() && !is_dumb && !no_colour,
        }
    }
}

const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(3600);

/// What `sluice top --help` says about its output.
#[cfg(test)]
pub(crate) fn top_help() -> &'static str {
    TOP_EXAMPLES
}

/// `500ms`, `1s`, `1.5s`, `1m`; a bare number is seconds.
fn interval(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        other => return Err(format!("`{other}` is no unit of time: use ms, s or m")),
    };
    let number: f64 = digits.parse().map_err(|_| format!("`{digits}` is not a number"))?;
    let time = Duration::try_from_secs_f64(number * unit).map_err(|error| error.to_string())?;
    if (SHORTEST..=LONGEST).contains(&time) {
        Ok(time)
    } else {
        Err("must be between 100ms and 60m".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn intervals_have_units_and_bounds() {
        assert_eq!(interval("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(interval("1s"), Ok(Duration::from_secs(1)));
        assert_eq!(interval("1.5"), Ok(Duration::from_millis(1500)));
        assert_eq!(interval("2m"), Ok(Duration::from_secs(120)));
        for wrong in ["", "s", "-1s", "1h", "50ms", "61m", "NaN", "inf", "1e300"] {
            assert!(interval(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_place_of_an_image_is_where_the_command_line_was_written() {
        let here = std::env::current_dir().unwrap();
        for (given, path) in [
            ("app=server", here.join("server")),
            ("app=./a=b", here.join("a=b")),
            ("app=../server", here.join("../server")),
            ("app=/srv/server", "/srv/server".into()),
        ] {
            assert_eq!(image(given), Ok(("app".to_owned(), path)), "{given}");
        }
        for wrong in ["app", "app=", "=server"] {
            assert!(image(wrong).unwrap_err().starts_with("write NAME=PATH"), "{wrong}");
        }
    }

    #[test]
    fn one_server_is_named_in_one_way() {
        let parse = |line: &str| Cli::try_parse_from(line.split(' '));
        assert!(parse("sluice top --pid 1").is_ok());
        assert!(parse("sluice top").is_err());
        assert!(parse("sluice top --pid 1 --cgroup x").is_err());
        assert!(parse("sluice top --netns x").is_err(), "a namespace needs a port");
        assert!(parse("sluice top --netns x --port 80 --port 81").is_ok());
        assert!(parse("sluice top --pid 1 --port 0").is_err());
    }

    #[test]
    fn plugins_are_called_as_their_host_calls_them() {
        assert_eq!(bin_name(OsStr::new("kubectl-sluice")), "kubectl sluice");
        assert_eq!(bin_name(OsStr::new("kn-sluice")), "kn sluice");
        assert_eq!(bin_name(OsStr::new("sluice")), "sluice");
    }
}
