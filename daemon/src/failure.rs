// SPDX-License-Identifier: Apache-2.0
//! What goes wrong, as the user meets it: a message, what to do, an exit code.
//!
//! Mechanism: every typed error of the crates below is turned into a [`Failure`] in this one place, by kind.
//! Invariants: the numbers of [`Exit`] are documented in `--help` and never change.
//! Depends on: kernel, node and handover (their errors).

use std::{error::Error, io, path::Path, process::ExitCode};

use crate::handover;
use crate::node::NodeError;
use kernel::{AttachError, CallError, CleanupError, NetnsError, ObjectError, OpenError, ReadError, TrackError};

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// As asked.
    Done = 0,
    /// Something went wrong.
    Failed = 1,
    /// The arguments make no sense (also clap's own).
    Usage = 2,
    /// A privilege is missing.
    Privilege = 3,
    /// The kernel or the machine lacks something.
    Unsupported = 4,
    /// The pin folder is in use, or holds what is not ours.
    Foreign = 5,
    /// What was asked for is not there, or went away.
    Gone = 6,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// An end that is not the one asked for.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    message: String,
    help: String,
}

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
            help: help.into(),
        }
    }

    fn of(exit: Exit, error: &dyn Error, help: impl Into<String>) -> Self {
        Self::new(exit, chain(error), help)
    }

    /// The message and the advice.
    pub(crate) fn into_parts(self) -> (String, String) {
        (self.message, self.help)
    }

    /// Writes it to stderr.
    pub(crate) fn tell(&self, in_colour: bool) {
        let (red, blue, plain) = if in_colour {
            ("\x1b[1;31m", "\x1b[1;34m", "\x1b[0m")
        } else {
            ("", "", "")
        };
        eprintln!("{red}error:{plain} {}", self.message);
        if !self.help.is_empty() {
            eprintln!("{blue}help:{plain} {}", self.help);
        }
    }
}

/// The message with its causes, each said once.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let message = error.to_string();
        if !text.contains(&message) {
            text = format!("{text}: {message}");
        }
        cause = error.source();
    }
    text
}

/// The kernel says EPERM or EACCES for a missing privilege, wherever it is met.
fn of_io(error: &io::Error) -> Exit {
    of_kind(error.kind())
}

fn of_kind(kind: io::ErrorKind) -> Exit {
    match kind {
        io::ErrorKind::PermissionDenied => Exit::Privilege,
        _ => Exit::Failed,
    }
}

impl From<handover::Fault> for Failure {
    fn from(fault: handover::Fault) -> Self {
        let advice = fault.advice();
        Self::of(Exit::Failed, &fault, advice)
    }
}

impl From<NodeError> for Failure {
    fn from(fault: NodeError) -> Self {
        match fault {
            NodeError::Open(fault) => fault.into(),
            NodeError::Attach(fault) => fault.into(),
            NodeError::Configure(fault) => fault.into(),
            other => Self::of(Exit::Failed, &other, ""),
        }
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        let exit = match &error {
            OpenError::NoPrivilege { .. } => Exit::Privilege,
            OpenError::NoBpffs { .. } | OpenError::NoCgroup2 { .. } | OpenError::NoTier { .. } => Exit::Unsupported,
            OpenError::Busy { .. } | OpenError::ForeignState { .. } => Exit::Foreign,
            OpenError::Object(error) => of_object(error),
            OpenError::Nothing { .. } => Exit::Gone,
            OpenError::Adopt(error) => of_attach(error),
            OpenError::Call(error) => of_call(error),
            OpenError::Pin { source, .. } => of_io(source),
        };
        let help = match &error {
            OpenError::Busy { .. } => {
                "stop the other `sluice`, or count beside it with another --pin-dir, e.g. /sys/fs/bpf/sluice-2"
                    .to_owned()
            }
            _ => error.advice(),
        };
        Self::of(exit, &error, help)
    }
}

fn of_object(error: &ObjectError) -> Exit {
    match error {
        ObjectError::Refused { .. } => Exit::Unsupported,
        ObjectError::Map { source, .. } => of_io(source),
        _ => Exit::Failed,
    }
}

fn of_attach(error: &AttachError) -> Exit {
    match error {
        AttachError::Gone { .. } | AttachError::NotCgroup2 { .. } => Exit::Gone,
        AttachError::Outside { .. } => Exit::Usage,
        AttachError::Unsupported { .. } => Exit::Unsupported,
        AttachError::Foreign { .. } => Exit::Foreign,
        AttachError::Kernel { source, .. } | AttachError::Record(source) => of_io(source),
    }
}

impl From<AttachError> for Failure {
    fn from(error: AttachError) -> Self {
        Self::of(of_attach(&error), &error, error.advice())
    }
}

impl From<NetnsError> for Failure {
    fn from(error: NetnsError) -> Self {
        let exit = match &error {
            NetnsError::Open { source, .. } if of_io(source) == Exit::Failed => Exit::Gone,
            NetnsError::Open { .. } | NetnsError::Enter(_) => Exit::Privilege,
            NetnsError::NotOne => Exit::Gone,
            NetnsError::NoCookie => Exit::Unsupported,
            NetnsError::Ask(source) => of_io(source),
        };
        Self::of(exit, &error, error.advice())
    }
}

impl From<TrackError> for Failure {
    fn from(error: TrackError) -> Self {
        let exit = match &error {
            TrackError::Kernel(source) => of_io(source),
            _ => Exit::Failed,
        };
        Self::of(exit, &error, error.advice())
    }
}

fn of_call(error: &CallError) -> Exit {
    of_kind(error.kind())
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        Self::of(of_call(&error), &error, error.advice())
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        let exit = match &error {
            ReadError::Kernel(source) => of_io(source),
            _ => Exit::Failed,
        };
        Self::of(exit, &error, error.advice())
    }
}

impl From<CleanupError> for Failure {
    fn from(error: CleanupError) -> Self {
        let exit = match &error {
            CleanupError::Busy { .. } => Exit::Foreign,
            CleanupError::Kernel { source, .. } => of_io(source),
        };
        Self::of(exit, &error, error.advice())
    }
}

/// Refuses early and with the whole list what would be refused late and one by one.
pub(crate) fn need_privileges(proc_root: &Path) -> Result<(), Failure> {
    if !kernel::host::is_procfs(proc_root) {
        let message = format!("procfs is not mounted at {}", proc_root.display());
        return Err(Failure::new(
            Exit::Unsupported,
            message,
            "name where it is with --proc-root",
        ));
    }
    let missing = kernel::host::missing_capabilities(proc_root);
    if missing.is_empty() {
        Ok(())
    } else {
        Err(OpenError::NoPrivilege { missing }.into())
    }
}

/// Turns an error of the operating system into a failure that says what was being done.
pub(crate) fn doing(what: impl Into<String>, help: impl Into<String>) -> impl FnOnce(io::Error) -> Failure {
    let (what, help) = (what.into(), help.into());
    move |error| Failure::new(of_io(&error), format!("{what}: {error}"), help)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_said_once() {
        let error = TrackError::Kernel(io::Error::from_raw_os_error(1));
        let failure = Failure::from(error);
        assert_eq!(failure.exit, Exit::Privilege);
        assert_eq!(
            failure.message.matches("not permitted").count(),
            1,
            "{}",
            failure.message
        );
    }

    #[test]
    fn what_is_missing_decides_the_exit_code() {
        let busy = Failure::from(OpenError::Busy { pin_dir: "/x".into() });
        assert_eq!(busy.exit, Exit::Foreign);
        assert!(busy.help.contains("--pin-dir"));
        let gone = Failure::from(AttachError::Gone { cgroup: "/x".into() });
        assert_eq!(gone.exit, Exit::Gone);
        let bpffs = Failure::from(OpenError::NoBpffs { path: "/x".into() });
        assert_eq!(bpffs.exit, Exit::Unsupported);
    }
}
