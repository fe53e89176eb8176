// SPDX-License-Identifier: Apache-2.0
//! What a container's root may do: the set that containerd gives, more or less as `securityContext` says.
//!
//! Invariants: a name that is not a capability is refused.
//! Depends on: plan.

use std::io;

use rustix::thread::{
    CapabilitySet, CapabilitySets, clear_ambient_capability_set, remove_capability_from_bounding_set, set_capabilities,
    set_no_new_privs,
};

use crate::runner::plan::User;

/// Without MKNOD: a container has the devices that it is given.
const USUAL: CapabilitySet = CapabilitySet::CHOWN
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::FSETID)
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::NET_RAW)
    .union(CapabilitySet::SETGID)
    .union(CapabilitySet::SETUID)
    .union(CapabilitySet::SETFCAP)
    .union(CapabilitySet::SETPCAP)
    .union(CapabilitySet::NET_BIND_SERVICE)
    .union(CapabilitySet::SYS_CHROOT)
    .union(CapabilitySet::KILL)
    .union(CapabilitySet::AUDIT_WRITE);

/// Takes what it may never have again.
pub(super) fn bound(user: &User) -> io::Result<()> {
    let kept = allowed(user)?;
    for bit in 0..64 {
        let one = CapabilitySet::from_bits_retain(1 << bit);
        if !kept.contains(one) && remove_capability_from_bounding_set(one) == Err(rustix::io::Errno::INVAL) {
            // The kernel knows no more.
            break;
        }
    }
    Ok(())
}

/// Leaves a root what it may have; others have nothing by now.
pub(super) fn keep(user: &User, uid: u32) -> io::Result<()> {
    clear_ambient_capability_set()?;
    if uid == 0 && !user.privileged {
        let kept = rustix::thread::capabilities(None)?
            .permitted
            .intersection(allowed(user)?);
        let sets = CapabilitySets {
            effective: kept,
            permitted: kept,
            inheritable: CapabilitySet::empty(),
        };
        set_capabilities(None, sets)?;
    }
    if user.no_new_privileges {
        set_no_new_privs(true)?;
    }
    Ok(())
}

fn allowed(user: &User) -> io::Result<CapabilitySet> {
    if user.privileged {
        return Ok(CapabilitySet::from_bits_retain(u64::MAX));
    }
    let mut set = USUAL;
    for name in &user.drop {
        set.remove(by_name(name)?);
    }
    for name in &user.add {
        set.insert(by_name(name)?);
    }
    Ok(set)
}

fn by_name(name: &str) -> io::Result<CapabilitySet> {
    if name.eq_ignore_ascii_case("ALL") {
        return Ok(CapabilitySet::from_bits_retain(u64::MAX));
    }
    let upper = name.to_ascii_uppercase();
    let bare = upper.strip_prefix("CAP_").unwrap_or(&upper);
    CapabilitySet::from_name(bare).ok_or_else(|| io::Error::other(format!("no capability is called {name}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(add: &[&str], drop: &[&str]) -> CapabilitySet {
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let user = User {
            add: owned(add),
            drop: owned(drop),
            ..User::default()
        };
        allowed(&user).unwrap()
    }

    #[test]
    fn a_pod_chooses_its_capabilities_by_name() {
        assert!(!of(&[], &[]).contains(CapabilitySet::SYS_ADMIN));
        assert_eq!(of(&["NET_ADMIN"], &["ALL"]), CapabilitySet::NET_ADMIN);
        assert!(!of(&[], &["CAP_CHOWN"]).contains(CapabilitySet::CHOWN));
        assert!(by_name("SING").is_err());
    }
}
