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
        None | Some(0) => format!("{}{}", first_bytes(parent, HEAD), digest(&format!("{parent}{suffix}"))),
        Some(room) => format!("{}{}{suffix}", first_bytes(parent, room), digest(parent)),
    }
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
    fn a_suffix_too_long_is_hashed_too() {
        let name = child_name("parent", &"s".repeat(80));
        assert_eq!(name.len(), "parent".len() + DIGEST);
        assert_ne!(name, child_name("parent", &"t".repeat(80)));
    }
}
