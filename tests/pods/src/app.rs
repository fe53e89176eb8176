// SPDX-License-Identifier: Apache-2.0
//! What runs in the pods: a server of a few lines that does as it is told.
//!
//! Invariants: std only, one thread a connection; the first line of its output says that it listens.
//! Depends on: nothing.

use std::ffi::OsString;
use std::fs;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use nix::sys::signal::{SigSet, Signal};

static IS_WELL: AtomicBool = AtomicBool::new(true);
static ASKED: AtomicU32 = AtomicU32::new(0);

/// `serve`, `crash CODE`, `lines N`, `touch PATH`, `sleep MS`
pub(crate) fn run(arguments: &[OsString]) -> ExitCode {
    let words: Vec<&str> = arguments.iter().filter_map(|word| word.to_str()).collect();
    let number = |at: usize| {
        words
            .get(at)
            .and_then(|word| word.parse::<u64>().ok())
            .unwrap_or_default()
    };
    match words.first().copied() {
        Some("crash") => {
            println!("about to end");
            eprintln!("last words");
            return ExitCode::from(number(1) as u8);
        }
        Some("lines") => (1..=number(1)).for_each(|line| println!("line {line}")),
        Some("touch") => fs::write(words[1], "touched\n").expect("touch"),
        Some("cat") => print!("{}", fs::read_to_string(words[1]).expect("cat")),
        Some("sleep") => std::thread::sleep(Duration::from_millis(number(1))),
        _ => serve(),
    }
    ExitCode::SUCCESS
}

fn variable<T: std::str::FromStr>(name: &str) -> Option<T> {
    std::env::var(name).ok()?.parse().ok()
}

fn serve() {
    if let Some(time) = variable::<u64>("TERM_MS") {
        end_slowly(Duration::from_millis(time));
    }
    std::thread::sleep(Duration::from_millis(variable("LISTEN_MS").unwrap_or(0)));
    let port = variable("PORT").unwrap_or(8080);
    let listener = TcpListener::bind(("0.0.0.0", port)).expect("listen");
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("time");
    println!("listening {}", now.as_micros());
    for stream in listener.incoming().flatten() {
        std::thread::spawn(move || {
            // A client that goes away is no news.
            let _ = answer(stream);
        });
    }
}

/// SIGTERM is taken by a thread, which ends the process some time later.
fn end_slowly(time: Duration) {
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGTERM);
    signals.thread_block().expect("block");
    std::thread::spawn(move || {
        signals.wait().expect("wait");
        println!("asked to end");
        std::thread::sleep(time);
        println!("ended by itself");
        std::process::exit(0);
    });
}

fn answer(stream: TcpStream) -> io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let line = lines.next().transpose()?.unwrap_or_default();
    while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
    let target = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let (status, body) = match path {
        "/healthz" if !IS_WELL.load(Ordering::Relaxed) => (503, "unwell".to_owned()),
        "/healthz" => (200, "well".to_owned()),
        "/fall-ill" => {
            IS_WELL.store(false, Ordering::Relaxed);
            (200, String::new())
        }
        "/counted" => (200, ASKED.fetch_add(1, Ordering::Relaxed).to_string()),
        "/env" => (200, std::env::var(query).unwrap_or_else(|_| "(none)".to_owned())),
        "/file" => match fs::read_to_string(query) {
            Ok(text) => (200, text),
            Err(error) => (404, error.to_string()),
        },
        "/write" => match fs::write(query, "written") {
            Ok(()) => (200, "written".to_owned()),
            Err(error) => (403, error.to_string()),
        },
        "/exit" => std::process::exit(query.parse().unwrap_or(1)),
        "/allocate" => {
            let bytes = vec![1_u8; query.parse::<usize>().unwrap_or(1) << 20];
            (200, bytes.len().to_string())
        }
        "/get" => match get(query) {
            Ok(text) => (200, text),
            Err(error) => (502, format!("{error:#}")),
        },
        "/who" => (200, who()),
        _ => (
            200,
            format!(
                "hello {}",
                std::env::var("TARGET").unwrap_or_else(|_| "world".to_owned())
            ),
        ),
    };
    let mut stream = stream;
    write!(
        stream,
        "HTTP/1.1 {status} x\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}

fn who() -> String {
    let groups = nix::unistd::getgroups().unwrap_or_default();
    let groups: Vec<String> = groups.iter().map(ToString::to_string).collect();
    let caps = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let caps = caps
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:\t"))
        .unwrap_or_default()
        .to_owned();
    format!(
        "uid={} gid={} groups={} host={} cwd={} home={} caps={caps}",
        nix::unistd::getuid(),
        nix::unistd::getgid(),
        groups.join(","),
        nix::unistd::gethostname().unwrap_or_default().to_string_lossy(),
        std::env::current_dir().unwrap_or_default().display(),
        std::env::var("HOME").unwrap_or_default(),
    )
}

/// The body of an answer: `HOST:PORT/PATH`.
pub(crate) fn get(target: &str) -> Result<String> {
    let (address, path) = target.split_once('/').unwrap_or((target, ""));
    let address: SocketAddr = address.parse().with_context(|| format!("the address {address}"))?;
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(2))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    // In one piece: who answers after the first has not read the rest.
    stream.write_all(format!("GET /{path} HTTP/1.1\r\nhost: {address}\r\n\r\n").as_bytes())?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let (head, body) = text.split_once("\r\n\r\n").context("no answer")?;
    anyhow::ensure!(
        head.starts_with("HTTP/1.1 200"),
        "{}: {body}",
        head.lines().next().unwrap_or_default()
    );
    Ok(body.to_owned())
}
