// SPDX-License-Identifier: Apache-2.0
//! A bpffs, a cgroup and processes in it, all removed when dropped.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader, Read as _},
    os::fd::AsFd as _,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Output, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use kernel::{Hook, Settings, host, sys};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;

/// The program under test.
pub(crate) const SLUICE: &str = env!("CARGO_BIN_EXE_sluice");

#[expect(clippy::disallowed_methods, reason = "tests are told by the environment")]
pub(crate) fn is_required() -> bool {
    let is = |name, value| std::env::var(name).is_ok_and(|found| found == value);
    is("CI", "true") || is("SLUICE_REQUIRE", "1")
}

pub(crate) struct Rig {
    /// A bpffs.
    pub(crate) pins: PathBuf,
    pub(crate) cgroup: PathBuf,
    servers: Vec<Child>,
}

impl Rig {
    /// What a test needs, or `None` after saying why it is skipped.
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

    fn build() -> Result<Self, String> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        if !kernel::is_available(&Settings::default()) {
            return Err("no BPF object: run `cargo xtask build`".to_owned());
        }
        let proc_root = Path::new("/proc");
        let missing = host::missing_capabilities(proc_root);
        if !missing.is_empty() {
            return Err(format!("needs root ({missing:?} missing)"));
        }
        let cgroups = host::find_cgroup2(proc_root).ok_or("cgroup v2 is not mounted")?;
        let name = format!(
            "sluice-test-cli-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let pins = std::env::temp_dir().join(&name);
        let cgroup = cgroups.join(&name);
        fs::create_dir(&pins).map_err(|error| error.to_string())?;
        let rig = Self {
            pins,
            cgroup,
            servers: Vec::new(),
        };
        fs::create_dir(&rig.cgroup).map_err(|error| error.to_string())?;
        run("mount", &["-t", "bpf", "bpf", &rig.pins.display().to_string()])?;
        Ok(rig)
    }

    pub(crate) fn pin_dir(&self) -> PathBuf {
        self.pins.join("sluice")
    }

    /// Every name and text below the pin folder.
    pub(crate) fn everything_pinned(&self) -> Vec<(PathBuf, Option<PathBuf>)> {
        let mut found = Vec::new();
        let mut folders = vec![self.pin_dir()];
        while let Some(folder) = folders.pop() {
            for path in list(&folder) {
                found.push((path.clone(), fs::read_link(&path).ok()));
                folders.extend(path.is_dir().then_some(path));
            }
        }
        found.sort();
        found
    }

    /// A cgroup below the rig's own.
    pub(crate) fn below(&self, name: &str) -> PathBuf {
        let path = self.cgroup.join(name);
        fs::create_dir(&path).unwrap();
        path
    }

    /// `sluice sample` in the rig's cgroup.
    pub(crate) fn server(&mut self) -> Server {
        let cgroup = self.cgroup.clone();
        self.server_in(&cgroup)
    }

    /// `sluice sample` in a cgroup from its first instruction on.
    pub(crate) fn server_in(&mut self, cgroup: &Path) -> Server {
        self.server_by(cgroup, "exec \"$0\" sample --port 0")
    }

    /// As `script` starts it.
    pub(crate) fn server_by(&mut self, cgroup: &Path, script: &str) -> Server {
        let script = format!("echo $$ > {}/cgroup.procs && {script}", cgroup.display());
        let mut child = Command::new("sh")
            .args(["-c", &script, SLUICE])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let pid = child.id();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        self.servers.push(child);
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let port = line.trim_end().rsplit(':').next().unwrap().parse().unwrap();
        Server { pid, port }
    }

    /// Ends a server and waits for it.
    pub(crate) fn stop(&mut self, server: &Server) {
        let child = self.servers.iter_mut().find(|child| child.id() == server.pid).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Runs to its end, with the rig's pin folder.
    pub(crate) fn sluice(&self, arguments: &[&str]) -> Ended {
        self.sluice_by(&[], arguments)
    }

    /// As `sluice`, started by another program (`setpriv …`).
    pub(crate) fn sluice_by(&self, by: &[&str], arguments: &[&str]) -> Ended {
        let mut line: Vec<&str> = by.to_vec();
        line.push(SLUICE);
        line.extend(arguments);
        let mut command = Command::new(line[0]);
        command.args(&line[1..]).arg("--pin-dir").arg(self.pin_dir());
        Ended::of(command.output().unwrap())
    }

    /// `sluice top -o json`, running.
    pub(crate) fn top(&self, arguments: &[&str]) -> Top {
        let mut command = Command::new(SLUICE);
        command
            .args(["top", "-o", "json", "--interval", "100ms"])
            .args(arguments);
        if !arguments.contains(&"--pin-dir") {
            command.arg("--pin-dir").arg(self.pin_dir());
        }
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Top { child, output }
    }

    /// Whether nothing is pinned, and no cgroup of the rig runs a program.
    pub(crate) fn assert_nothing_left(&self) {
        assert!(!self.pin_dir().exists(), "{:?}", list(&self.pin_dir()));
        self.assert_nothing_attached();
    }

    pub(crate) fn assert_nothing_attached(&self) {
        let file = File::open(&self.cgroup).unwrap();
        for hook in Hook::ALL {
            let programs = sys::program::attached(file.as_fd(), hook.point()).unwrap();
            assert!(programs.is_empty(), "{}: {programs:?}", hook.word());
        }
    }
}

fn list(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect()
}

impl Drop for Rig {
    fn drop(&mut self) {
        for child in &mut self.servers {
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = kernel::cleanup(&Settings::at(self.pin_dir()));
        let _ = run("umount", &["-l", &self.pins.display().to_string()]);
        let _ = fs::remove_dir(&self.pins);
        let below = fs::read_dir(&self.cgroup).into_iter().flatten().flatten();
        let mut folders: Vec<PathBuf> = below.map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
        folders.push(self.cgroup.clone());
        for folder in folders {
            // The last process leaves its cgroup a moment after it was reaped.
            let _ = eventually(|| fs::remove_dir(&folder).is_ok() || !folder.exists());
        }
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

#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) pid: u32,
    pub(crate) port: u16,
}

impl Server {
    pub(crate) fn pid(&self) -> String {
        self.pid.to_string()
    }
}

/// What a command said.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ended {
    pub(crate) fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// It failed with this code and said these things, with an advice.
    #[track_caller]
    pub(crate) fn assert_fault(&self, code: i32, said: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert!(
            self.err.contains("error: ") && self.err.contains("\nhelp: "),
            "{self:?}"
        );
        assert!(said.iter().all(|text| self.err.contains(text)), "{said:?} in {self:?}");
        assert!(
            !self.err.contains('\x1b'),
            "no colours elsewhere than on a terminal: {self:?}"
        );
    }

    pub(crate) fn json(&self) -> Vec<Value> {
        self.out
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

/// `sluice top`, running.
pub(crate) struct Top {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Top {
    pub(crate) fn next(&mut self) -> Value {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        if line.is_empty() {
            let mut said = String::new();
            self.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
            panic!("top has ended: {said}");
        }
        serde_json::from_str(&line).unwrap()
    }

    /// The first line that is as wanted, of twenty seconds' worth.
    pub(crate) fn until(&mut self, is_wanted: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        for _ in 0..200 {
            last = self.next();
            if is_wanted(&last) {
                return last;
            }
        }
        panic!("never as wanted, last: {last}");
    }

    /// Sends a signal and waits for the end.
    pub(crate) fn end(mut self, signal: Signal) -> Ended {
        kill(Pid::from_raw(self.child.id() as i32), signal).unwrap();
        let mut out = String::new();
        self.output.read_to_string(&mut out).unwrap();
        let mut err = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        let code = self.child.wait().unwrap().code();
        Ended { code, out, err }
    }

    /// Waits for an end of its own.
    pub(crate) fn finish(mut self) -> Ended {
        let mut out = String::new();
        self.output.read_to_string(&mut out).unwrap();
        let mut err = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        let code = self.child.wait().unwrap().code();
        Ended { code, out, err }
    }
}

impl Drop for Top {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
