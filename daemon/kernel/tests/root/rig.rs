// SPDX-License-Identifier: Apache-2.0
//! A bpffs, a cgroup and processes in it, all removed when dropped.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use kernel::{Kernel, Netns, PodKey, Settings, host};

#[expect(clippy::disallowed_methods, reason = "tests are told by the environment")]
pub(crate) fn is_required() -> bool {
    let is = |name, value| std::env::var(name).is_ok_and(|found| found == value);
    is("CI", "true") || is("SLUICE_REQUIRE", "1")
}

/// What a test needs, or `None` after saying why it is skipped.
pub(crate) struct Rig {
    pub(crate) pins: PathBuf,
    pub(crate) cgroup: PathBuf,
    children: Vec<Child>,
    others: Vec<Process>,
}

impl Rig {
    pub(crate) fn new() -> Option<Self> {
        match Self::build() {
            Ok(rig) => Some(rig),
            Err(why) => {
                assert!(!is_required(), "required, but: {why}");
                println!("skipped: {why}");
                None
            }
        }
    }

    /// As `new`, and there must be a BPF object.
    pub(crate) fn with_object() -> Option<Self> {
        if !kernel::is_available(&Settings::default()) {
            assert!(!is_required(), "required, but there is no BPF object");
            println!("skipped: no BPF object, run `cargo xtask build`");
            return None;
        }
        Self::new()
    }

    /// An object among those that the build makes, or `None` after saying why it is skipped.
    pub(crate) fn object_file(&self, name: &str, how: &str) -> Option<PathBuf> {
        let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/bpf");
        let object = built.join(name);
        if !object.exists() {
            assert!(!is_required(), "required, but there is no {name}: run `{how}`");
            println!("skipped: no {name}, run `{how}`");
            return None;
        }
        Some(object)
    }

    /// A copy of the object in which one read-only global has another value; it goes with the rig.
    pub(crate) fn changed_object(&self, global: &str) -> Option<PathBuf> {
        use object::{Object as _, ObjectSection as _, ObjectSymbol as _};
        let mut bytes = fs::read(self.object_file("sluice.o", "cargo xtask build")?).unwrap();
        let file = object::File::parse(&*bytes).unwrap();
        let symbol = file.symbols().find(|symbol| symbol.name() == Ok(global)).unwrap();
        let section = file.section_by_index(symbol.section_index().unwrap()).unwrap();
        let at = section.file_range().unwrap().0 + symbol.address();
        bytes[at as usize] ^= 1;
        let changed = self.changed();
        fs::write(&changed, bytes).unwrap();
        Some(changed)
    }

    fn changed(&self) -> PathBuf {
        self.pins.with_extension("o")
    }

    fn build() -> Result<Self, String> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let proc_root = Path::new("/proc");
        let missing = host::missing_capabilities(proc_root);
        if !missing.is_empty() {
            return Err(format!("needs root ({missing:?} missing)"));
        }
        let cgroups = host::find_cgroup2(proc_root).ok_or("cgroup v2 is not mounted")?;
        let name = format!(
            "sluice-test-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let pins = std::env::temp_dir().join(&name);
        let cgroup = cgroups.join(&name);
        fs::create_dir(&pins).map_err(|error| error.to_string())?;
        let rig = Self {
            pins,
            cgroup,
            children: Vec::new(),
            others: Vec::new(),
        };
        fs::create_dir(&rig.cgroup).map_err(|error| error.to_string())?;
        run("mount", &["-t", "bpf", "bpf", &rig.pins.display().to_string()])?;
        Ok(rig)
    }

    pub(crate) fn settings(&self) -> Settings {
        Settings {
            pods: 64,
            revisions: 16,
            ..Settings::at(self.pins.join("sluice"))
        }
    }

    pub(crate) fn open(&self) -> Kernel {
        Kernel::open(self.settings()).unwrap_or_else(|error| panic!("{error:?}\nadvice: {}", error.advice()))
    }

    /// Runs Python inside the cgroup.
    pub(crate) fn python(&mut self, code: &str, arguments: &[&str]) -> Process {
        self.python_by("", code, arguments)
    }

    /// Runs Python inside the cgroup, started by another program.
    fn python_by(&mut self, starter: &str, code: &str, arguments: &[&str]) -> Process {
        let enter = format!(
            "echo $$ > {}/cgroup.procs && exec {starter} python3 -u -c \"$0\" \"$@\"",
            self.cgroup.display()
        );
        let mut command = Command::new("sh");
        command.args(["-c", &enter, code]).args(arguments);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        self.children.push(child);
        Process {
            input,
            output: BufReader::new(output),
        }
    }

    /// A server inside the cgroup and in a network namespace of its own (whose loopback is down).
    pub(crate) fn server_elsewhere(&mut self) -> (u16, u32) {
        let mut process = self.python_by("unshare --net", SERVER, &[]);
        let port = process.line().parse().unwrap();
        self.others.push(process);
        (port, self.children.last().unwrap().id())
    }

    /// An HTTP/1.1 server inside the cgroup. `/slow` answers when a line is written to it.
    pub(crate) fn server(&mut self) -> Server {
        let mut process = self.python(SERVER, &[]);
        let port = process.line().parse().unwrap();
        Server { port, process }
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = kernel::cleanup(&self.settings());
        let _ = run("umount", &["-l", &self.pins.display().to_string()]);
        let _ = fs::remove_dir(&self.pins);
        let _ = fs::remove_file(self.changed());
        // The last process leaves its cgroup a moment after it was reaped.
        let _ = eventually(|| fs::remove_dir(&self.cgroup).is_ok() || !self.cgroup.exists());
    }
}

fn run(program: &str, arguments: &[&str]) -> Result<(), String> {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        Ok(())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// Whether it becomes true within some seconds.
pub(crate) fn eventually(mut is_true: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + Duration::from_secs(30);
    while Instant::now() < end {
        if is_true() {
            return true;
        }
        thread::sleep(Duration::from_millis(2));
    }
    is_true()
}

pub(crate) struct Process {
    input: std::process::ChildStdin,
    output: BufReader<std::process::ChildStdout>,
}

impl Process {
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    pub(crate) fn say(&mut self) {
        writeln!(self.input).unwrap();
    }
}

pub(crate) struct Server {
    pub(crate) port: u16,
    pub(crate) process: Process,
}

impl Server {
    pub(crate) fn connect(&self) -> Client {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_nodelay(true).unwrap();
        Client { stream }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    pub(crate) fn key(&self) -> PodKey {
        let netns = Netns::current(Path::new("/proc")).unwrap().cookie().unwrap();
        PodKey {
            netns,
            port: self.port,
            ..PodKey::default()
        }
    }
}

pub(crate) struct Client {
    pub(crate) stream: TcpStream,
}

impl Client {
    pub(crate) fn ask(&mut self, path: &str) {
        write!(self.stream, "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    }

    pub(crate) fn answer(&mut self) {
        let mut bytes = Vec::new();
        while !bytes.ends_with(b"hello") {
            let mut byte = [0];
            assert_eq!(self.stream.read(&mut byte).unwrap(), 1, "the server closed");
            bytes.push(byte[0]);
        }
    }

    pub(crate) fn get(&mut self) {
        self.ask("/");
        self.answer();
    }
}

const SERVER: &str = r#"
import http.server, sys, threading
gate = threading.Semaphore(0)
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        if self.path == "/slow":
            gate.acquire()
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")
    def log_message(self, *_):
        pass
class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
server = Server(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.server_port)
for _ in sys.stdin:
    gate.release()
"#;
