// SPDX-License-Identifier: Apache-2.0
//! The name of what an object makes: control-plane spec 4.1.
//!
//! Problem: a child is found by its name alone, and a name has at most 63 bytes.
//! Mechanism: parent and suffix; a parent too long is cut and followed by its MD5, so that two long parents stay apart.
//! Invariants: at most 63 bytes; the same input gives the same name for ever.
//! Depends on: md-5.

use md5::{Digest, Md5};

/// The most bytes a name may have.
const LONGEST: usize = 63;
/// The bytes of an MD5 in hexadecimal.
const DIGEST: usize = 32;
/// What remains for parent and suffix beside a digest.
const HEAD: usize = LONGEST - DIGEST;

/// The name of a child of `parent` (control-plane spec 4.1).
#[must_use]
pub fn child_name(parent: &str, suffix: &str) -> String {
    if parent.len().saturating_add(suffix.len()) <= LONGEST {
        return format!("{parent}{suffix}");
    }
    match HEAD.checked_sub(suffix.len()) {
        None | Some(0) => of_long_suffix(parent, suffix),
        Some(room) => format!("{}{}{suffix}", first_bytes(parent, room), digest(parent)),
    }
}

/// The suffix goes into the digest, and as much of it as there is room for behind it; no dash at the end.
fn of_long_suffix(parent: &str, suffix: &str) -> String {
    let mut name = format!("{}{}", first_bytes(parent, HEAD), digest(&format!("{parent}{suffix}")));
    name.push_str(first_bytes(suffix, LONGEST.saturating_sub(name.len())));
    name.truncate(name.trim_end_matches(|last: char| !last.is_ascii_alphanumeric()).len());
    name
}

fn first_bytes(text: &str, most: usize) -> &str {
    text.get(..text.floor_char_boundary(most)).unwrap_or(text)
}

fn digest(text: &str) -> String {
    Md5::digest(text)
        .iter()
        .fold(String::with_capacity(DIGEST), |mut hex, byte| {
            hex.push_str(&format!("{byte:02x}"));
            hex
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_short_name_is_only_put_together() {
        assert_eq!(child_name("hello", "-private"), "hello-private");
        assert_eq!(child_name(&"a".repeat(63), ""), "a".repeat(63));
    }

    #[test]
    fn a_long_parent_is_cut_and_told_apart_by_its_digest() {
        let name = child_name(&"a".repeat(64), "-x");
        assert_eq!(name.len(), LONGEST);
        assert!(name.starts_with(&"a".repeat(29)) && name.ends_with("-x"));
        assert_ne!(name, child_name(&"a".repeat(65), "-x"));
    }

    #[test]
    fn a_short_parent_leaves_room_for_the_beginning_of_a_long_suffix() {
        let name = child_name("short", &"s".repeat(60));
        assert_eq!(name.len(), LONGEST);
        assert!(name.starts_with("short") && name.ends_with("sss"));
        assert_ne!(name, child_name("short", &"s".repeat(61)));
    }

    #[test]
    fn a_cut_name_does_not_end_in_a_dash() {
        let name = child_name(&"p".repeat(30), &format!("-{}", "s".repeat(40)));
        assert!(!name.ends_with('-'), "{name}");
    }

    proptest! {
        #[test]
        fn every_name_fits_and_no_input_panics(parent in ".{0,90}", suffix in ".{0,90}") {
            prop_assert!(child_name(&parent, &suffix).len() <= LONGEST);
        }

        #[test]
        fn a_short_suffix_stays_readable(parent in "[a-z]{1,80}", suffix in "-[a-z]{1,29}") {
            prop_assert!(child_name(&parent, &suffix).ends_with(&suffix));
        }
    }
}
