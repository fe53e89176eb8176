// SPDX-License-Identifier: Apache-2.0
//! `sluice proxy`, asked by curl.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// A folder that goes when the test ends.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("sluice-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn write(&self, name: &str, text: &str) {
        // As a careful operator does: never half a file.
        let half = self.path(&format!("{name}.half"));
        std::fs::write(&half, text).unwrap();
        std::fs::rename(half, self.path(name)).unwrap();
    }

    /// A new pair in `tls.crt` and `tls.key`, believed by who has `ca.pem`.
    fn new_pair(&self, ca: &str) {
        let made = rcgen::generate_simple_self_signed(["app.example.com".to_owned()]).unwrap();
        self.write(ca, &made.cert.pem());
        self.write("tls.key", &made.signing_key.serialize_pem());
        self.write("tls.crt", &made.cert.pem());
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// A process that ends with the test.
struct Running {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Running {
    fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_sluice"))
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Self { child, lines }
    }

    /// The address in the next line.
    fn address(&mut self) -> SocketAddr {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        let word = line.split_whitespace().find_map(|word| {
            let word = word.trim_start_matches("http://").trim_end_matches(['/', ',', ':']);
            word.parse().ok()
        });
        word.unwrap_or_else(|| panic!("{line}"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// What curl says, by `-w`, of an URL of app.example.com.
fn curl(to: SocketAddr, ca: &Path, tell: &str, arguments: &[&str]) -> String {
    let connect = format!("app.example.com:{}:127.0.0.1", to.port());
    let output = Command::new("curl")
        .args([
            "-s",
            "-o",
            "/dev/null",
            "--max-time",
            "10",
            "--resolve",
            &connect,
            "-w",
            tell,
            "--cacert",
        ])
        .arg(ca)
        .args(arguments)
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(20), "{what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn https_is_served_from_files_that_may_change() {
    let folder = Folder::new("https");
    folder.new_pair("first.pem");
    let mut app = Running::start(&["sample", "--port", "0"]);
    let config = format!(
        "
listen:
  - 127.0.0.1:0
  - {{address: 127.0.0.1:0, tls: true}}
  - {{address: 127.0.0.1:0, visibility: cluster-local}}
certificates:
  - {{hosts: [app.example.com], cert: tls.crt, key: tls.key}}
revisions:
  app: {{pods: ['{}']}}
routes:
  - {{hosts: [app.example.com], to: {{app: 1}}, http_option: Redirected}}
  - {{hosts: [app.default.svc.cluster.local], to: {{app: 1}}, visibility: cluster-local}}
limits: {{head_time: 5s, request_head: 64Ki}}
",
        app.address()
    );
    folder.write("proxy.yaml", &config);
    let file = folder.path("proxy.yaml");
    let mut proxy = Running::start(&["proxy", "--config", file.to_str().unwrap()]);
    let (http, https, local) = (proxy.address(), proxy.address(), proxy.address());
    let (first, second) = (folder.path("first.pem"), folder.path("second.pem"));

    let url = format!("https://app.example.com:{}/hello", https.port());
    assert_eq!(curl(https, &first, "%{http_code} %{http_version}", &[&url]), "200 2");
    assert_eq!(
        curl(https, &first, "%{http_code} %{http_version}", &["--http1.1", &url]),
        "200 1.1"
    );
    assert_eq!(curl(https, &first, "%{http_code}", &["-d", "said", &url]), "200");
    let plain = format!("http://app.example.com:{}/hello?a", http.port());
    assert_eq!(
        curl(http, &first, "%{http_code} %{redirect_url}", &[&plain]),
        "301 https://app.example.com/hello?a"
    );
    let named = "Host: app.default.svc.cluster.local";
    let to = |address: SocketAddr| format!("http://{address}/hello");
    assert_eq!(curl(http, &first, "%{http_code}", &["-H", named, &to(http)]), "404");
    assert_eq!(curl(local, &first, "%{http_code}", &["-H", named, &to(local)]), "200");

    // Half of a new pair changes nothing; the whole of it does, without a restart.
    folder.write("tls.key", "-----BEGIN PRIVATE KEY-----\n");
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(curl(https, &first, "%{http_code}", &[&url]), "200");
    folder.new_pair("second.pem");
    until("the new certificate is served", || {
        curl(https, &second, "%{http_code}", &[&url]) == "200"
    });
    assert_eq!(curl(https, &first, "%{http_code}", &[&url]), "000");
}

#[test]
fn every_request_leaves_one_line_of_json() {
    let folder = Folder::new("log");
    let mut app = Running::start(&["sample", "--port", "0"]);
    let app_address = app.address();
    let config = format!(
        "
listen: [127.0.0.1:0]
revisions:
  app: {{pods: ['{app_address}']}}
  empty: {{timeout_seconds: 1}}
  patient: {{timeout_seconds: 600}}
routes:
  - {{hosts: [app.example.com], path: /none, to: {{empty: 1}}}}
  - {{hosts: [app.example.com], path: /late, to: {{patient: 1}}}}
  - {{hosts: [app.example.com], to: {{app: 1}}, rewrite_host: other.example.com}}
log: json
"
    );
    folder.write("proxy.yaml", &config);
    let file = folder.path("proxy.yaml");
    let mut proxy = Running::start(&["proxy", "--config", file.to_str().unwrap()]);
    let http = proxy.address();
    let mut line_of = |path: &str, arguments: &[&str]| -> serde_json::Value {
        let url = format!("http://app.example.com:{}{path}", http.port());
        curl(http, Path::new("/dev/null"), "", &[&[url.as_str()], arguments].concat());
        let mut line = String::new();
        proxy.lines.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    };

    let good = line_of(
        "/hello?a",
        &[
            "-A",
            "quo\"te\\",
            "-H",
            "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ],
    );
    assert_eq!(
        (&good["status"], &good["end"]),
        (&200.into(), &"whole".into()),
        "{good}"
    );
    assert_eq!(
        (&good["path"], &good["user_agent"]),
        (&"/hello?a".into(), &"quo\"te\\".into())
    );
    assert_eq!(good["host"], format!("app.example.com:{}", http.port()));
    assert_eq!(
        (&good["revision"], &good["pod"]),
        (&"app".into(), &app_address.to_string().into())
    );
    assert_eq!(good["trace_id"], "0af7651916cd43dd8448eb211c80319c");
    assert!(good["duration_ms"].as_f64() >= good["waited_ms"].as_f64(), "{good}");

    let foreign = line_of("/", &["--request-target", "/caf\u{e9}", "-A", "\u{fc}"]);
    assert_eq!(
        (&foreign["path"], &foreign["user_agent"]),
        (&"/caf\u{e9}".into(), &"\u{fc}".into())
    );

    let lost = line_of("/", &["-H", "Host: nobody.example.com"]);
    assert_eq!((&lost["status"], &lost["end"]), (&404.into(), &"answered_here".into()));
    assert!(lost.get("revision").is_none(), "{lost}");

    let late = line_of("/none", &[]);
    assert_eq!((&late["status"], &late["revision"]), (&504.into(), &"empty".into()));
    assert!(late.get("pod").is_none(), "{late}");

    let gone = line_of("/late", &["--max-time", "3"]);
    assert_eq!((&gone["status"], &gone["end"]), (&499.into(), &"client_gone".into()));
}

/// What is told at `--admin`, and the status.
fn told(admin: SocketAddr, path: &str) -> String {
    let output = Command::new("curl")
        .args(["-s", "--max-time", "10", "-w", "|%{http_code}"])
        .arg(format!("http://{admin}{path}"))
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// A process with figures: where clients come in, and where they are told.
fn figured(folder: &Folder, app: &mut Running) -> (Running, SocketAddr, SocketAddr) {
    let config = format!(
        "
listen: [127.0.0.1:0]
revisions: {{shop/app: {{pods: ['{}'], container_concurrency: 5}}}}
routes: [{{hosts: [app.example.com], to: {{shop/app: 1}}}}]
limits: {{request_body: 1Ki, request_head: 4Ki, head_time: 3s}}
tracing: {{keep: 10}}
",
        app.address()
    );
    folder.write("proxy.yaml", &config);
    let file = folder.path("proxy.yaml");
    let mut proxy = Running::start(&["proxy", "--config", file.to_str().unwrap(), "--admin", "127.0.0.1:0"]);
    let (http, admin) = (proxy.address(), proxy.address());
    (proxy, http, admin)
}

/// The status that curl gets.
fn status(http: SocketAddr, path: &str, more: &[&str]) -> String {
    let url = format!("http://app.example.com:{}{path}", http.port());
    curl(
        http,
        Path::new("/dev/null"),
        "%{http_code}",
        &[&[url.as_str()], more].concat(),
    )
}

#[test]
fn figures_tell_of_every_status_and_of_every_limit() {
    let folder = Folder::new("figures");
    let mut app = Running::start(&["sample", "--port", "0"]);
    let (_proxy, http, admin) = figured(&folder, &mut app);
    for (path, due) in [
        ("/hello", "200"),
        ("/hello", "200"),
        ("/hello", "200"),
        ("/status/503", "503"),
        ("/sleep/60", "200"),
    ] {
        assert_eq!(status(http, path, &[]), due);
    }
    assert_eq!(status(http, "/echo", &["-d", &"x".repeat(2000)]), "413");
    assert_eq!(
        status(http, "/hello", &["-H", &format!("X: {}", "x".repeat(5000))]),
        "431"
    );
    let mut slow = std::net::TcpStream::connect(http).unwrap();
    slow.write_all(b"GET / HT").unwrap();
    slow.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    assert_eq!(slow.read(&mut [0; 10]).unwrap(), 0);
    let mut silent = std::net::TcpStream::connect(http).unwrap();
    silent.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    assert_eq!(silent.read(&mut [0; 10]).unwrap(), 0);

    let labels = "k8s_namespace_name=\"shop\",kn_service_name=\"\",kn_configuration_name=\"\",kn_revision_name=\"app\"";
    let due = [
        format!("kn_revision_request_count_total{{{labels},http_response_status_class=\"2xx\"}} 4"),
        format!("kn_serving_invocation_duration_seconds_count{{{labels},http_response_status_code=\"200\"}} 4"),
        format!("kn_serving_invocation_duration_seconds_count{{{labels},http_response_status_code=\"503\"}} 1"),
        format!(
            "http_server_request_duration_seconds_bucket{{{labels},http_response_status_code=\"200\",le=\"+Inf\"}} 4"
        ),
        format!("http_server_request_duration_seconds_count{{{labels},http_response_status_code=\"413\"}} 1"),
        format!("kn_serving_queue_depth{{{labels}}} 0"),
        format!("kn_revision_request_queued{{{labels}}} 0"),
        "sluice_limited_total{limit=\"request_body\"} 1".to_owned(),
        "sluice_limited_total{limit=\"request_head\"} 1".to_owned(),
        "sluice_limited_total{limit=\"head_time\"} 2".to_owned(),
        "sluice_limited_total{limit=\"streams\"} 0".to_owned(),
        "sluice_limited_total{limit=\"all_connections\"} 0".to_owned(),
        "sluice_spans_lost_total 0".to_owned(),
    ];
    until("all figures are there", || {
        let page = told(admin, "/metrics");
        let missing = due.iter().find(|line| !page.lines().any(|other| other == *line));
        if let Some(missing) = missing {
            eprintln!("{missing} is not in\n{page}");
        }
        missing.is_none()
    });
    let page = told(admin, "/metrics");
    let fast = format!(
        "kn_serving_invocation_duration_seconds_bucket{{{labels},http_response_status_code=\"200\",le=\"0.05\"}} "
    );
    let fast = page.lines().find_map(|line| line.strip_prefix(&fast)).unwrap();
    assert!(
        fast.parse::<f64>().unwrap() <= 3.0,
        "a request of 60 ms took less than 50: {page}"
    );
}

fn until_one_is_held(admin: SocketAddr) {
    let is_held = |line: &str| line.starts_with("kn_revision_request_queued") && line.ends_with(" 1");
    until("it is held", || told(admin, "/metrics").lines().any(is_held));
}

#[test]
fn as_many_requests_wait_as_the_limits_say() {
    let folder = Folder::new("queue");
    let config = "listen: [127.0.0.1:0]\nrevisions: {app: {}}\nroutes: [{hosts: [app.example.com], to: {app: 1}}]\n\
                  limits: {queue: 1, queue_heads: 1Ki}\n";
    folder.write("proxy.yaml", config);
    let file = folder.path("proxy.yaml");
    let mut proxy = Running::start(&["proxy", "--config", file.to_str().unwrap(), "--admin", "127.0.0.1:0"]);
    let (http, admin) = (proxy.address(), proxy.address());
    let large = format!("X: {}", "x".repeat(2000));
    assert_eq!(
        status(http, "/large", &["-H", &large]),
        "503",
        "a head beyond queue_heads"
    );
    let mut held = std::net::TcpStream::connect(http).unwrap();
    held.write_all(b"GET / HTTP/1.1\r\nHost: app.example.com\r\n\r\n")
        .unwrap();
    until_one_is_held(admin);
    assert_eq!(status(http, "/second", &[]), "503", "one beyond queue");
}

#[test]
fn a_held_request_is_answered_when_the_time_of_its_process_is_over() {
    let folder = Folder::new("over");
    let config = "listen: [127.0.0.1:0]\nrevisions: {app: {}}\nroutes: [{hosts: [app.example.com], to: {app: 1}}]\n";
    folder.write("proxy.yaml", config);
    let (file, meet) = (folder.path("proxy.yaml"), folder.path("meet"));
    let places = ["--config", file.to_str().unwrap(), "--handover", meet.to_str().unwrap()];
    let more = ["--drain", "1s", "--admin", "127.0.0.1:0"];
    let start = || Running::start(&[&["proxy"][..], &places, &more].concat());
    let mut old = start();
    let (http, admin) = (old.address(), old.address());
    let asking = std::thread::spawn(move || {
        let mut stream = std::net::TcpStream::connect(http).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream
            .write_all(b"GET / HTTP/1.0\r\nHost: app.example.com\r\n\r\n")
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    });
    until_one_is_held(admin);
    let mut new = start();
    assert_eq!(new.address(), http);
    let answer = asking.join().unwrap();
    assert!(
        answer.starts_with("HTTP/1.0 503 ") && answer.ends_with("\r\n\r\nshutting down\n"),
        "{answer}"
    );
    until(
        "the old one ends",
        || matches!(old.child.try_wait(), Ok(Some(status)) if status.success()),
    );
}

#[test]
fn a_request_that_is_ended_with_its_process_leaves_its_line() {
    let folder = Folder::new("stopped");
    let pod = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let config = format!(
        "
listen: [127.0.0.1:0]
revisions: {{app: {{pods: ['{}']}}}}
routes: [{{hosts: [app.example.com], to: {{app: 1}}}}]
log: json
",
        pod.local_addr().unwrap()
    );
    folder.write("proxy.yaml", &config);
    let (file, meet) = (folder.path("proxy.yaml"), folder.path("meet"));
    let places = ["--config", file.to_str().unwrap(), "--handover", meet.to_str().unwrap()];
    let start = || Running::start(&[&["proxy", "--drain", "100ms"][..], &places].concat());
    let mut old = start();
    let http = old.address();
    let mut client = std::net::TcpStream::connect(http).unwrap();
    client
        .write_all(b"GET /held HTTP/1.1\r\nHost: app.example.com\r\n\r\n")
        .unwrap();
    // The pod has it, and never answers.
    let (mut held, _) = pod.accept().unwrap();
    assert!(matches!(held.read(&mut [0; 4096]), Ok(1..)));
    let mut new = start();
    assert_eq!(new.address(), http);
    let mut log = String::new();
    old.lines.read_to_string(&mut log).unwrap();
    let lines: Vec<serde_json::Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let [line] = &lines[..] else {
        panic!("one line: {log:?}");
    };
    assert_eq!((&line["path"], &line["end"]), (&"/held".into(), &"stopped".into()));
    assert!(old.child.wait().unwrap().success());
}

#[test]
fn a_log_that_nobody_reads_does_not_keep_its_process() {
    let folder = Folder::new("unread");
    let config = "listen: [127.0.0.1:0]\nrevisions: {}\nroutes: []\nlog: json\n";
    folder.write("proxy.yaml", config);
    let file = folder.path("proxy.yaml");
    let mut proxy = Running::start(&["proxy", "--config", file.to_str().unwrap()]);
    let http = proxy.address();
    // More than a pipe holds.
    let path = format!("/{}", "x".repeat(40_000));
    for _ in 0..4 {
        assert_eq!(status(http, &path, &[]), "404");
    }
    let asked = Command::new("kill").arg(proxy.child.id().to_string()).status();
    assert!(asked.unwrap().success());
    until(
        "it ends",
        || matches!(proxy.child.try_wait(), Ok(Some(status)) if status.success()),
    );
}

#[test]
fn health_and_spans_are_told() {
    let folder = Folder::new("spans");
    let mut app = Running::start(&["sample", "--port", "0"]);
    let (_proxy, http, admin) = figured(&folder, &mut app);
    assert_eq!(told(admin, "/healthz"), "ok\n|200");
    assert_eq!(told(admin, "/other"), "there is: /metrics, /healthz, /spans\n|404");
    assert_eq!(status(http, "/hello", &[]), "200");
    let parent = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    assert_eq!(status(http, "/hello", &["-H", parent]), "200");
    let mut spans = String::new();
    until("spans are there", || {
        spans += told(admin, "/spans").strip_suffix("|200").unwrap();
        !spans.is_empty()
    });
    let spans: Vec<serde_json::Value> = spans.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let names: Vec<_> = spans.iter().map(|span| span["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["handle", "route", "throttler_try", "activator_proxy"]);
    assert_eq!(spans[0]["parent"], "b7ad6b7169203331");
    assert_eq!(spans[3]["trace"], "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(told(admin, "/spans"), "|200");
}

#[test]
fn a_file_that_cannot_work_is_refused_with_the_place() {
    let folder = Folder::new("bad");
    folder.new_pair("ca.pem");
    let refused = |change: &dyn Fn(&str) -> String| {
        let config = "
listen: [{address: 127.0.0.1:0, tls: true}]
certificates: [{hosts: [app.example.com], cert: tls.crt, key: tls.key}]
revisions: {}
routes: []
";
        folder.write("proxy.yaml", &change(config));
        let file = folder.path("proxy.yaml");
        let output = crate::sluice(&["proxy", "--config", file.to_str().unwrap()], "");
        assert_eq!(output.status.code(), Some(2), "{}", crate::stderr(&output));
        crate::stderr(&output)
    };
    let said = refused(&|config| config.replace("tls.key", "nothing.key"));
    assert!(
        said.contains("certificates[0].key") && said.contains("nothing.key"),
        "{said}"
    );
    let said = refused(&|config| config.replace("tls.key", "ca.pem"));
    assert!(said.contains("tls.crt: no PRIVATE KEY section"), "{said}");
    let said = refused(&|config| config.replace("hosts: [app.example.com]", "hosts: []"));
    assert!(said.contains("is for no host"), "{said}");
    let said = refused(&|config| format!("{config}limits: {{head_time: 5}}"));
    assert!(said.contains("missing unit"), "{said}");
    let config = "listen: [{address: 127.0.0.1:0, visibility: cluster-local}]\nkernel: {cgroup: nowhere}\n\
                  revisions: {}\nroutes: []\n";
    folder.write("kernel.yaml", config);
    let (file, meet) = (folder.path("kernel.yaml"), folder.path("meet"));
    let places = ["--config", file.to_str().unwrap(), "--handover", meet.to_str().unwrap()];
    let output = crate::sluice(&[&["proxy"][..], &places].concat(), "");
    let said = crate::stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("restart it without --handover"), "{said}");
    let said = refused(&|config| format!("{config}limits: {{connections: 0}}"));
    assert!(said.contains("limits.connections: must be above 0"), "{said}");
    let route = "routes: [{hosts: [app.example.com], to: {app: 1}, set_headers: {Content-Length: '1'}}]";
    let said = refused(&|config| {
        config
            .replace("revisions: {}", "revisions: {app: {}}")
            .replace("routes: []", route)
    });
    assert!(said.contains("routes[0].set_headers: \"Content-Length\""), "{said}");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    folder.write(
        "taken.yaml",
        &format!("listen: ['{address}']\nrevisions: {{}}\nroutes: []\n"),
    );
    let output = crate::sluice(&["proxy", "--config", folder.path("taken.yaml").to_str().unwrap()], "");
    let said = crate::stderr(&output);
    assert!(said.contains(&format!("listening on {address}: ")), "{said}");
}

/// What `sluice proxy` says on standard error, line by line.
struct Said(std::sync::mpsc::Receiver<String>);

impl Said {
    /// Starts it, and listens.
    fn by(config: &Path) -> (Running, Self) {
        let mut child = Command::new(env!("CARGO_BIN_EXE_sluice"))
            .args(["proxy", "--admin", "127.0.0.1:0", "--config"])
            .arg(config)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        let said = BufReader::new(child.stderr.take().unwrap());
        let (tell, heard) = std::sync::mpsc::channel();
        std::thread::spawn(move || said.lines().map_while(Result::ok).try_for_each(|line| tell.send(line)));
        (Running { child, lines }, Self(heard))
    }

    /// The next line.
    fn next(&self) -> String {
        self.0.recv_timeout(Duration::from_secs(20)).unwrap()
    }
}

#[test]
fn requests_that_wait_hear_of_pods_also_when_their_revision_changes_with_them() {
    let folder = Folder::new("replaced");
    let mut app = Running::start(&["sample", "--port", "0"]);
    let file = |of_blue: &str| {
        format!(
            "
listen: [127.0.0.1:0]
revisions: {{blue: {{timeout_seconds: 15, {of_blue}}}}}
routes: [{{hosts: [app.example.com], to: {{blue: 1}}}}]
"
        )
    };
    folder.write("proxy.yaml", &file(""));
    let (mut proxy, said) = Said::by(&folder.path("proxy.yaml"));
    let (http, admin) = (proxy.address(), proxy.address());
    let waits = std::thread::spawn(move || status(http, "/hello", &["--max-time", "14"]));
    until_one_is_held(admin);
    // Another limit makes it another revision, first without a pod, then with one.
    folder.write("proxy.yaml", &file("container_concurrency: 3"));
    assert!(said.next().ends_with("was read again"));
    let pods = format!("container_concurrency: 3, pods: ['{}']", app.address());
    folder.write("proxy.yaml", &file(&pods));
    assert_eq!(waits.join().unwrap(), "200");
    assert_eq!(status(http, "/hello", &[]), "200");
}

#[test]
fn a_changed_file_says_what_of_it_is_for_the_next_start() {
    let folder = Folder::new("fixed");
    let file = |more: &str| {
        format!("listen: [127.0.0.1:0]\nrevisions: {{a: {{}}}}\nroutes: [{{hosts: [b], to: {{a: 1}}}}]\n{more}\n")
    };
    folder.write("proxy.yaml", &file(""));
    let (mut proxy, said) = Said::by(&folder.path("proxy.yaml"));
    proxy.address();
    folder.write("proxy.yaml", &file("log: json\nlimits: {streams: 1}"));
    assert!(said.next().ends_with("was read again"));
    let told = said.next();
    assert!(told.contains("proxy.yaml: log, limits: "), "{told}");
    // What could not work changes nothing, and says where it stands.
    folder.write("proxy.yaml", &file("").replace("[b]", "[b], path: c"));
    let told = said.next();
    assert!(
        told.contains("routes[0].path") && told.ends_with("the old one stays"),
        "{told}"
    );
    folder.write("proxy.yaml", &file(""));
    assert!(said.next().ends_with("was read again"));
}
