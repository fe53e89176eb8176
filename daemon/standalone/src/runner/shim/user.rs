// SPDX-License-Identifier: Apache-2.0
//! As whom a container runs: `USER` of its image, `securityContext` of its pod.
//!
//! Invariants: names are looked up in the container's own files; what cannot be found is refused, never run as root.
//! Depends on: plan, capability.

use std::fs;

use nix::unistd::{Gid, Uid, fchown, setgid, setgroups, setuid};

use super::capability;
use crate::runner::plan::User;

/// Who that is.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Identity {
    uid: u32,
    gid: u32,
    /// The home folder.
    pub(super) home: String,
}

/// Finds out who it is; call it with the container's root in place.
pub(super) fn find(user: &User) -> Result<Identity, String> {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    identify(user, &read("/etc/passwd"), &read("/etc/group"))
}

fn identify(user: &User, passwd: &str, group: &str) -> Result<Identity, String> {
    let (name, group_name) = user.image.split_once(':').unwrap_or((&user.image, ""));
    let rows: Vec<Vec<&str>> = passwd.lines().map(|line| line.split(':').collect()).collect();
    let field = |row: &[&str], at: usize| row.get(at).and_then(|text| text.parse::<u32>().ok());
    let uid = match (user.uid, name) {
        (Some(uid), _) => uid,
        (None, "") => 0,
        (None, name) => {
            let by_name = rows
                .iter()
                .find(|row| row.first() == Some(&name))
                .and_then(|row| field(row, 2));
            let found = by_name.or_else(|| name.parse().ok());
            found.ok_or_else(|| format!("unable to find user {name}: no matching entries in passwd file"))?
        }
    };
    if user.must_not_be_root && uid == 0 {
        return Err("container has runAsNonRoot and image will run as root".to_owned());
    }
    let row = rows.iter().find(|row| field(row, 2) == Some(uid));
    let gid = match (user.gid, group_name) {
        (Some(gid), _) => gid,
        (None, "") => row.and_then(|row| field(row, 3)).unwrap_or_default(),
        (None, name) => {
            let mut groups = group.lines().map(|line| line.split(':').collect::<Vec<_>>());
            let by_name = groups
                .find(|row| row.first() == Some(&name))
                .and_then(|row| field(&row, 2));
            let found = by_name.or_else(|| name.parse().ok());
            found.ok_or_else(|| format!("unable to find group {name}: no matching entries in group file"))?
        }
    };
    let home = row.and_then(|row| row.get(5)).filter(|home| !home.is_empty());
    Ok(Identity {
        uid,
        gid,
        home: home.map_or("/", |home| *home).to_owned(),
    })
}

/// Gives up what the container may not have. There is no way back.
pub(super) fn become_user(user: &User, identity: &Identity) -> Result<(), String> {
    let said = |what: &'static str| move |error: nix::Error| format!("{what}: {error}");
    let (uid, gid) = (Uid::from_raw(identity.uid), Gid::from_raw(identity.gid));
    if identity.uid != 0 {
        // So that it may open /dev/stdout and /dev/stderr.
        fchown(std::io::stdout(), Some(uid), None).map_err(said("its output"))?;
        fchown(std::io::stderr(), Some(uid), None).map_err(said("its output"))?;
    }
    capability::bound(user).map_err(|error| format!("capabilities: {error}"))?;
    let groups: Vec<Gid> = std::iter::once(gid)
        .chain(user.groups.iter().map(|gid| Gid::from_raw(*gid)))
        .collect();
    setgroups(&groups).map_err(said("its groups"))?;
    setgid(gid).map_err(said("its group"))?;
    setuid(uid).map_err(said("its user"))?;
    capability::keep(user, identity.uid).map_err(|error| format!("capabilities: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\napp:x:1000:2000::/home/app:/bin/sh\n";
    const GROUP: &str = "root:x:0:\nweb:x:3000:\n";

    #[track_caller]
    fn found(user: &User) -> (u32, u32, String) {
        let identity = identify(user, PASSWD, GROUP).unwrap();
        (identity.uid, identity.gid, identity.home)
    }

    #[test]
    fn users_come_from_the_pod_then_from_the_image() {
        let of = |image: &str| User {
            image: image.to_owned(),
            ..User::default()
        };
        assert_eq!(found(&of("")), (0, 0, "/root".to_owned()));
        assert_eq!(found(&of("app")), (1000, 2000, "/home/app".to_owned()));
        assert_eq!(found(&of("app:web")), (1000, 3000, "/home/app".to_owned()));
        assert_eq!(found(&of("65532:65532")), (65532, 65532, "/".to_owned()));
        let pod = User {
            uid: Some(7),
            gid: Some(8),
            ..of("app")
        };
        assert_eq!(found(&pod), (7, 8, "/".to_owned()));
    }

    #[test]
    fn nobody_becomes_root_by_mistake() {
        let unknown = User {
            image: "nobody-knows".to_owned(),
            ..User::default()
        };
        assert!(identify(&unknown, PASSWD, GROUP).unwrap_err().contains("nobody-knows"));
        let root = User {
            must_not_be_root: true,
            ..User::default()
        };
        assert!(identify(&root, PASSWD, GROUP).unwrap_err().contains("runAsNonRoot"));
    }
}
