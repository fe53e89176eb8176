// SPDX-License-Identifier: Apache-2.0
//! Network namespaces: finding, entering, telling apart.
//!
//! Problem: pods are known by their namespace's cookie, which only a socket inside can tell; and a thread that
//! entered a namespace is lost for everything else.
//! Mechanism: open the namespace's file, work inside it on a thread that ends with the work. The caller's own namespace
//! is not entered, which would need CAP_SYS_ADMIN for nothing.
//! Invariants: the caller's thread never changes its namespace.
//! Depends on: libc.

use std::{
    fs::{self, File},
    io,
    os::{
        fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
        unix::fs::MetadataExt as _,
    },
    path::{Path, PathBuf},
    thread,
};

/// Of the calling thread, whatever procfs the settings name for others.
const OWN: &str = "/proc/thread-self/ns/net";

/// An open network namespace.
#[derive(Debug)]
pub struct Netns {
    file: File,
}

/// Why a namespace could not be used.
#[derive(Debug, thiserror::Error)]
pub enum NetnsError {
    /// It is not there.
    #[error("no network namespace at {path}")]
    Open {
        /// Where it was looked for.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// What is there is something else.
    #[error("what was named is not a network namespace")]
    NotOne,
    /// It may not be entered.
    #[error("the network namespace may not be entered")]
    Enter(#[source] io::Error),
    /// The kernel has no cookies for namespaces.
    #[error("this kernel does not tell network namespaces apart by cookies")]
    NoCookie,
    /// A question inside it went wrong.
    #[error("a question inside the network namespace had no answer")]
    Ask(#[source] io::Error),
}

impl NetnsError {
    /// What to do about it.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Open { .. } => "check that the process or the named namespace still exists",
            Self::NotOne => "name one that `ip netns` lists, or a file like /proc/PID/ns/net",
            Self::Enter(_) => "run as root or with CAP_SYS_ADMIN",
            Self::NoCookie => "run on Linux 5.14 or newer",
            Self::Ask(_) => "run as root or with CAP_NET_ADMIN; the kernel needs CONFIG_INET_DIAG",
        }
    }
}

impl Netns {
    /// Of a process.
    pub fn of_process(proc_root: &Path, pid: u32) -> Result<Self, NetnsError> {
        Self::at(&proc_root.join(format!("{pid}/ns/net")))
    }

    /// Of the calling process.
    pub fn current(proc_root: &Path) -> Result<Self, NetnsError> {
        Self::at(&proc_root.join("thread-self/ns/net"))
    }

    /// By name, as `ip netns` knows it.
    pub fn named(name: &str) -> Result<Self, NetnsError> {
        Self::at(&Path::new("/run/netns").join(name))
    }

    /// By file.
    pub fn at(path: &Path) -> Result<Self, NetnsError> {
        let file = File::open(path).map_err(|source| NetnsError::Open {
            path: path.to_owned(),
            source,
        })?;
        Ok(Self { file })
    }

    /// Does `work` inside the namespace, on a thread of its own.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, NetnsError> {
        let inside = || {
            if !self.is_here() {
                enter(&self.file).map_err(|error| match error.raw_os_error() {
                    Some(libc::EINVAL) => NetnsError::NotOne,
                    _ => NetnsError::Enter(error),
                })?;
            }
            Ok(work())
        };
        thread::scope(|scope| match scope.spawn(inside).join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    }

    /// Whether the calling thread is in it; what cannot be told is entered.
    fn is_here(&self) -> bool {
        let id = |file: fs::Metadata| (file.dev(), file.ino());
        let (Ok(here), Ok(there)) = (fs::metadata(OWN), self.file.metadata()) else {
            return false;
        };
        id(here) == id(there)
    }

    /// What the kernel calls it: SO_NETNS_COOKIE (5.14). Never 0.
    pub fn cookie(&self) -> Result<u64, NetnsError> {
        self.run(cookie_here)?.map_err(|error| match error.raw_os_error() {
            Some(libc::ENOPROTOOPT) => NetnsError::NoCookie,
            _ => NetnsError::Ask(error),
        })
    }
}

#[expect(unsafe_code, reason = "setns is not in std")]
fn enter(namespace: &File) -> io::Result<()> {
    // SAFETY: changes only the calling thread, which is ours.
    if unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Opens a socket in the calling thread's namespace.
#[expect(unsafe_code, reason = "netlink sockets are not in std")]
pub(crate) fn socket(family: i32, kind: i32, protocol: i32) -> io::Result<OwnedFd> {
    // SAFETY: no pointers; a descriptor that is not negative is ours.
    unsafe {
        let fd = libc::socket(family, kind | libc::SOCK_CLOEXEC, protocol);
        if fd < 0 {
            Err(io::Error::last_os_error())
        } else {
            Ok(OwnedFd::from_raw_fd(fd))
        }
    }
}

/// include/uapi/asm-generic/socket.h
const SO_NETNS_COOKIE: i32 = 71;

#[expect(unsafe_code, reason = "getsockopt is not in std")]
fn cookie_here() -> io::Result<u64> {
    let socket = socket(libc::AF_INET, libc::SOCK_STREAM, 0)?;
    let mut cookie = 0_u64;
    let mut length = size_of::<u64>() as libc::socklen_t;
    // SAFETY: room for one u64, of which the length tells.
    let result = unsafe {
        let into = std::ptr::from_mut(&mut cookie).cast();
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            SO_NETNS_COOKIE,
            into,
            &raw mut length,
        )
    };
    if result != 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(cookie)
    }
}
