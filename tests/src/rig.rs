// SPDX-License-Identifier: Apache-2.0
//! The ground that cases stand on: one cgroup subtree and any number of network namespaces, all of them ours.
//!
//! Problem: a suite that leaves a namespace, a cgroup or a pin behind spoils the next run and the machine.
//! Mechanism: whatever is made is entered in a [`Register`] with the way to undo it; a [`Kept`] guard undoes it when
//! dropped (also while panicking), a signal undoes all that is left in reverse order, and a new run first sweeps what
//! belongs to test processes that no longer exist.
//! Invariants: names carry the process id; undoing never touches a name without it.
//! Depends on: cgroup v2 mounted anywhere, CAP_NET_ADMIN, CAP_SYS_ADMIN, `ip`.

mod cgroup;
mod field;
mod netns;
mod register;
mod shell;

pub use cgroup::Cgroup;
pub use field::{Field, POD_PORT};
pub(crate) use netns::join;
pub use netns::{Disorder, Netns};
pub use register::{Kept, Register, Undo};
pub use shell::{feed, run};

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, bail};

/// What one test process owns.
pub struct Rig {
    register: Arc<Register>,
    mount: PathBuf,
    root: Cgroup,
    bpffs: (PathBuf, Kept),
    serial: AtomicU32,
}

impl Rig {
    /// Claims a subtree of the cgroup v2 mount, sweeps what dead runs left, undoes everything on SIGTERM or SIGINT.
    /// Call it before the first thread starts: the signals are blocked for all threads to come.
    pub fn new() -> Result<Arc<Self>> {
        if !nix::unistd::geteuid().is_root() {
            bail!("not root: namespaces and cgroups cannot be made");
        }
        let mount = cgroup::mount()?;
        register::sweep(&mount);
        let register = Arc::new(Register::default());
        register::undo_on_signals(&register)?;
        let path = mount.join(format!("{}{}", register::CGROUP_PREFIX, std::process::id()));
        let root = Cgroup::create(&register, path).context("own cgroup")?;
        let bpffs = register::mount_bpffs(&register)?;
        Ok(Arc::new(Self {
            register,
            mount,
            root,
            bpffs,
            serial: AtomicU32::new(0),
        }))
    }

    /// Where cgroup v2 is mounted.
    pub fn cgroup_mount(&self) -> &Path {
        &self.mount
    }

    /// The suite's own subtree.
    pub fn cgroup(&self) -> &Cgroup {
        &self.root
    }

    /// Where things are entered that must be undone.
    pub fn register(&self) -> &Arc<Register> {
        &self.register
    }

    /// A number nobody else in this process has.
    pub fn serial(&self) -> u32 {
        self.serial.fetch_add(1, Ordering::Relaxed)
    }

    /// A pin folder's path, not yet made; it is removed with the guard.
    pub fn pins(&self) -> (PathBuf, Kept) {
        let path = self.bpffs.0.join(format!("pins-{}", self.serial()));
        let kept = self.register.keep(Undo::Folder(path.clone()));
        (path, kept)
    }

    /// Client, router and pod, joined by veth, for a case: what a sender on this machine sends stays in order.
    pub fn field(&self, name: &str) -> Result<Field> {
        let field = self.unsteered_field(name)?;
        field.steer()?;
        Ok(field)
    }

    /// The same with the kernel's own settings, for figures: steering chooses the CPU that receives.
    pub fn unsteered_field(&self, name: &str) -> Result<Field> {
        Field::create(self, name)
    }
}
