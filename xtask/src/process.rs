// SPDX-License-Identifier: Apache-2.0
//! Running other programs, visibly.
//!
//! Problem: a long step must show what runs, and what it prints must both be seen and be counted.
//! Mechanism: [`run`] prints the command and lets it write; [`follow_for`] also hands every line of its output on.
//! Invariants: a child that is not waited for any more is killed ([`Running`]).
//! Depends on: nothing.

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

/// Time to clean up after being asked to end.
const GRACE: Duration = Duration::from_secs(20);

/// Runs a command to its end; an error if it cannot be started or ends with another code than 0.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    announce(command);
    let status = command
        .status()
        .with_context(|| format!("{} does not start", name(command)))?;
    finish(status, command)
}

/// An error if `command` ended with another code than 0.
pub(crate) fn finish(status: ExitStatus, command: &Command) -> Result<()> {
    if !status.success() {
        bail!("{} ended with {status}", name(command));
    }
    Ok(())
}

/// Runs a command quietly and returns its standard output.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("{} does not start", name(command)))?;
    if !output.status.success() {
        bail!("{} ended with {}", name(command), output.status);
    }
    String::from_utf8(output.stdout).with_context(|| format!("{} printed something that is not UTF-8", name(command)))
}

/// Whether a command runs and ends with 0; nothing is printed.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Runs a command, prints its output as it comes and hands each line to `each`; one that takes longer than `limit` is killed.
pub(crate) fn follow_for(limit: Duration, command: &mut Command, mut each: impl FnMut(&str)) -> Result<ExitStatus> {
    let end = Some(Instant::now() + limit);
    announce(command);
    let mut written = Ok(());
    let status = each_line(end, command, |line| {
        if written.is_ok() {
            written = writeln!(std::io::stdout(), "{line}");
        }
        each(line);
    })?;
    written.context("writing to standard output")?;
    Ok(status)
}

/// As [`follow_for`], but ends a command, and all that it started, which has not ended within `limit` of its first line:
/// what it builds before that takes the time it takes.
pub(crate) fn follow_from_first(
    limit: Duration,
    command: &mut Command,
    mut each: impl FnMut(&str),
) -> Result<ExitStatus> {
    announce(command);
    let mut running = start(command)?;
    let lines = lines_of(&mut running)?;
    let (mut end, mut last) = (None, String::new());
    loop {
        match next(&lines, end) {
            Ok(Some(line)) => {
                end.get_or_insert_with(|| Instant::now() + limit);
                println!("{line}");
                each(&line);
                last = line;
            }
            Ok(None) => return running.0.wait().context("waiting for a child"),
            Err(_) => {
                end_tree(&running)?;
                bail!(
                    "{} did not end within {} minutes; its last line was: {last}",
                    name(command),
                    limit.as_secs().div_ceil(60)
                );
            }
        }
    }
}

/// Asks all that a child started to end, and kills what does not; the child is its owner's.
fn end_tree(running: &Running) -> Result<()> {
    let tree = descendants(running.0.id())?;
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        for id in &tree {
            // Those that have ended are no matter.
            let _ = kill(Pid::from_raw(*id), signal);
        }
        let end = Instant::now() + GRACE;
        let lives = |id: &i32| Path::new(&format!("/proc/{id}/exe")).exists();
        while Instant::now() < end && tree.iter().any(lives) {
            thread::sleep(Duration::from_millis(50));
        }
    }
    Ok(())
}

/// The processes that descend from one, by `/proc`.
fn descendants(root: u32) -> Result<Vec<i32>> {
    let mut parents = Vec::new();
    for entry in fs::read_dir("/proc").context("/proc cannot be read")? {
        let name = entry.context("/proc cannot be read")?.file_name();
        let Some(id) = name.to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        // After the name in parentheses: state and parent (proc_pid_stat(5)).
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        let parent = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1));
        if let Some(parent) = parent.and_then(|parent| parent.parse::<i32>().ok()) {
            parents.push((id, parent));
        }
    }
    let mut tree = vec![i32::try_from(root).context("invariant: process ids are positive")?];
    let mut at = 0;
    while let Some(&one) = tree.get(at) {
        tree.extend(parents.iter().filter(|(_, parent)| *parent == one).map(|(id, _)| *id));
        at += 1;
    }
    Ok(tree.split_off(1))
}

/// As [`follow_for`], but asks a command to end at `end`; none if that was needed.
pub(crate) fn follow_gently(
    end: Option<Instant>,
    command: &mut Command,
    mut each: impl FnMut(&str),
) -> Result<Option<ExitStatus>> {
    announce(command);
    let mut running = start(command)?;
    let lines = lines_of(&mut running)?;
    let mut print = |line: &str| {
        println!("{line}");
        each(line);
    };
    while let Ok(Some(line)) = next(&lines, end) {
        print(&line);
    }
    if end.is_none_or(|end| Instant::now() < end) {
        return running.0.wait().map(Some).context("waiting for a child");
    }
    self::end(&mut running)?;
    lines.iter().for_each(|line| print(&line));
    Ok(None)
}

/// Runs a command and hands each line of its output to `each`, unprinted.
pub(crate) fn lines(command: &mut Command, each: impl FnMut(&str)) -> Result<ExitStatus> {
    announce(command);
    each_line(None, command, each)
}

fn each_line(end: Option<Instant>, command: &mut Command, mut each: impl FnMut(&str)) -> Result<ExitStatus> {
    let mut running = start(command)?;
    let lines = lines_of(&mut running)?;
    while let Some(line) = next(&lines, end).with_context(|| format!("{} takes too long", name(command)))? {
        each(&line);
    }
    running.0.wait().context("waiting for a child")
}

fn start(command: &mut Command) -> Result<Running> {
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
    child
        .map(Running)
        .with_context(|| format!("{} does not start", name(command)))
}

/// The lines of a child's output, read by a thread that ends with the output.
pub(crate) fn lines_of(running: &mut Running) -> Result<Receiver<String>> {
    let output = running.0.stdout.take().context("invariant: standard output is piped")?;
    let (sender, receiver) = sync_channel(64);
    thread::spawn(move || {
        for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line).trim_end_matches('\r').to_owned();
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    Ok(receiver)
}

/// The next line; none at the end of the output; an error at `end`.
fn next(lines: &Receiver<String>, end: Option<Instant>) -> Result<Option<String>, RecvTimeoutError> {
    let Some(end) = end else { return Ok(lines.recv().ok()) };
    match lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
        Ok(line) => Ok(Some(line)),
        Err(RecvTimeoutError::Disconnected) => Ok(None),
        Err(RecvTimeoutError::Timeout) => Err(RecvTimeoutError::Timeout),
    }
}

/// A child that dies with its owner.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only when the child has ended and been waited for.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Asks a child to end, and waits; one that does not within [`GRACE`] is killed.
pub(crate) fn end(running: &mut Running) -> Result<ExitStatus> {
    let id = i32::try_from(running.0.id()).context("invariant: process ids are positive")?;
    // Not waited for yet, so the id is still its own.
    kill(Pid::from_raw(id), Signal::SIGTERM).context("asking a child to end")?;
    let end = Instant::now() + GRACE;
    while Instant::now() < end {
        if let Some(status) = running.0.try_wait().context("waiting for a child")? {
            return Ok(status);
        }
        thread::sleep(Duration::from_millis(20));
    }
    running.0.kill().context("killing a child")?;
    running.0.wait().context("waiting for a child")
}

/// `cargo` of the host toolchain, in the workspace.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new("cargo");
    command
        .current_dir(crate::place::root())
        // Wherever this program was built: the object and the programs are looked for there.
        .env("CARGO_TARGET_DIR", crate::place::target());
    command
}

/// The command as a person would type it.
pub(crate) fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words
        .map(|word| quoted(&word.to_string_lossy()))
        .collect::<Vec<_>>()
        .join(" ")
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=+./:,@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{word}'")
    }
}

fn announce(command: &Command) {
    eprintln!("$ {}", shown(command));
}

/// The program that a command runs.
pub(crate) fn name(command: &Command) -> String {
    command.get_program().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn every_line_is_handed_on_and_the_status_is_told() {
        let mut lines = Vec::new();
        let status = follow_for(GRACE, &mut sh("echo one; printf two; exit 3"), |line| {
            lines.push(line.to_owned())
        })
        .unwrap();
        assert_eq!(
            (lines, status.code()),
            (vec!["one".to_owned(), "two".to_owned()], Some(3))
        );
    }

    #[test]
    fn a_command_that_is_asked_to_end_may_say_a_last_word() {
        let mut lines = Vec::new();
        let script = "trap 'echo bye; exit' TERM; echo here; while :; do sleep 0.01; done";
        let end = Instant::now() + Duration::from_millis(300);
        let status = follow_gently(Some(end), &mut sh(script), |line| lines.push(line.to_owned())).unwrap();
        assert_eq!((status, lines), (None, vec!["here".to_owned(), "bye".to_owned()]));
    }

    #[test]
    fn what_a_command_started_ends_with_it_when_it_takes_too_long() {
        let mut child = 0;
        let limit = Duration::from_millis(200);
        let error = follow_from_first(limit, &mut sh("sleep 600 & echo $!; wait"), |line| {
            child = line.parse().unwrap();
        })
        .unwrap_err();
        assert!(format!("{error:#}").contains("did not end"), "{error:#}");
        assert!(child > 0 && !Path::new(&format!("/proc/{child}/exe")).exists());
    }

    #[test]
    fn a_command_that_takes_too_long_is_ended() {
        let error = follow_for(Duration::from_millis(50), Command::new("sleep").arg("60"), |_| ()).unwrap_err();
        assert!(format!("{error:#}").contains("takes too long"), "{error:#}");
    }
}
