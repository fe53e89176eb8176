// SPDX-License-Identifier: Apache-2.0
//! Arrows between crates: design section 7.
//!
//! Invariants: a crate uses only layers below its own; the crates of the middle meet only in the daemon; the kernel
//! programs share only `abi` and `wire` with userspace; xtask uses nobody.
//! Depends on: nothing.

use super::Crate;

/// From the ground up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Layer {
    /// Both sides of the kernel's border.
    Shared,
    /// Pure userspace crates.
    Ground,
    Middle,
    Daemon,
    Tests,
    /// The BPF object.
    Programs,
    /// This program.
    Tasks,
}

fn layer(folder: &str) -> Option<Layer> {
    Some(match folder {
        "ebpf/abi" | "ebpf/wire" => Layer::Shared,
        "daemon/logic" | "daemon/api" | "daemon/life" => Layer::Ground,
        "daemon/kernel" | "daemon/proxy" | "daemon/control" | "daemon/standalone" => Layer::Middle,
        "daemon" => Layer::Daemon,
        "tests" | "tests/api" | "tests/control" | "tests/golden" | "tests/logic-bench" | "tests/path"
        | "tests/pods" | "daemon/fuzz" | "ebpf/wire/fuzz" => Layer::Tests,
        "ebpf" => Layer::Programs,
        "xtask" => Layer::Tasks,
        _ => return None,
    })
}

fn may_use(user: Layer, used: Layer) -> bool {
    match user {
        // No order is decided among these; cargo refuses cycles.
        Layer::Shared | Layer::Ground => used <= user,
        Layer::Middle | Layer::Daemon | Layer::Tests => used < user,
        Layer::Programs => used == Layer::Shared,
        Layer::Tasks => false,
    }
}

/// Every arrow that is not allowed and every crate without a place.
pub(super) fn check(crates: &[Crate]) -> Vec<String> {
    crates.iter().flat_map(check_one).collect()
}

fn check_one(member: &Crate) -> Vec<String> {
    let Some(user) = layer(&member.folder) else {
        return vec![format!(
            "{}: a crate without a place in the layers: give it one in xtask/src/layers/arrows.rs",
            member.folder
        )];
    };
    let is_wrong = |used: &&String| layer(used).is_none_or(|used| !may_use(user, used));
    member
        .uses
        .iter()
        .filter(is_wrong)
        .map(|used| format!("{} must not use {used}", member.folder))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(folder: &str, uses: &[&str]) -> Crate {
        let uses = uses.iter().map(|&used| used.to_owned()).collect();
        Crate {
            folder: folder.to_owned(),
            manifest: "Cargo.toml".into(),
            uses,
            sources: Vec::new(),
        }
    }

    fn wrong(folder: &str, uses: &[&str]) -> usize {
        check(&[member(folder, uses)]).len()
    }

    #[test]
    fn arrows_point_down() {
        assert_eq!(wrong("daemon", &["daemon/kernel", "daemon/logic", "ebpf/abi"]), 0);
        assert_eq!(wrong("daemon/kernel", &["ebpf/abi", "daemon/life"]), 0);
        assert_eq!(wrong("tests", &["daemon", "daemon/kernel", "ebpf/wire"]), 0);
        assert_eq!(wrong("ebpf", &["ebpf/abi", "ebpf/wire"]), 0);
    }

    #[test]
    fn arrows_that_point_up_or_sideways_are_found() {
        assert_eq!(wrong("daemon/kernel", &["daemon"]), 1);
        assert_eq!(wrong("daemon/logic", &["daemon/kernel"]), 1);
        assert_eq!(wrong("ebpf/wire", &["daemon/logic"]), 1);
        assert_eq!(wrong("ebpf", &["daemon/kernel", "daemon/logic"]), 2);
        assert_eq!(wrong("xtask", &["ebpf/abi"]), 1);
        assert_eq!(wrong("daemon", &["tests"]), 1);
    }

    #[test]
    fn the_four_in_the_middle_never_meet() {
        let middle = ["daemon/kernel", "daemon/proxy", "daemon/control", "daemon/standalone"];
        for user in middle {
            for used in middle {
                assert_eq!(wrong(user, &[used]), 1, "{user} uses {used}");
            }
        }
    }

    #[test]
    fn an_unknown_crate_fails_as_user_and_as_used() {
        assert_eq!(wrong("daemon/utils", &[]), 1);
        assert_eq!(wrong("daemon", &["daemon/utils"]), 1);
    }
}
