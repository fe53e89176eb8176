// SPDX-License-Identifier: Apache-2.0
//! The host of a request as routes know it: without its port, in any case; and its hash.
//!
//! Mechanism: the hash takes eight bytes a step and sets the bit that letters of both cases differ in, so nothing is copied
//! to fold case. Its key is random: nobody can choose hosts that collide.
//! Depends on: nothing.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher};

/// The longest name there is (RFC 1035, 2.3.4, as text).
const LONGEST: usize = 253;

/// The bit of every byte of eight that is set in small letters.
const SMALL: u64 = 0x2020_2020_2020_2020;

/// The name in a `Host` header or `:authority`: without `:port`; the brackets of an IPv6 address stay.
#[must_use]
pub fn name(authority: &str) -> &str {
    let before = authority.trim_end_matches(|letter: char| letter.is_ascii_digit());
    match before.strip_suffix(':') {
        Some(name) if name.ends_with(']') || !name.contains(':') => name,
        _ => authority,
    }
}

/// Whether all of these bytes may stand in a `Host` (RFC 3986 3.2.2 and 3.2.3).
#[must_use]
#[inline]
pub fn is_host(bytes: &[u8]) -> bool {
    bytes
        .iter()
        .all(|byte| byte.is_ascii_alphanumeric() || b"!$%&'()*+,-.:;=[]_~".contains(byte))
}

/// The name in small letters, if a route can have it: not empty, not too long, and what a request may ask for.
#[must_use]
pub fn routable(host: &str) -> Option<String> {
    let name = name(host);
    (!name.is_empty() && name.len() <= LONGEST && is_host(name.as_bytes())).then(|| name.to_ascii_lowercase())
}

/// The random key of a hash.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    start: u64,
    factor: u64,
}

impl Key {
    /// One that nobody knows.
    #[must_use]
    pub fn random() -> Self {
        let random = RandomState::new();
        Self {
            start: random.hash_one(0),
            factor: random.hash_one(1) | 1,
        }
    }

    /// The hash of a name; names that differ only in case have the same.
    #[must_use]
    pub fn hash(self, name: &str) -> u64 {
        self.folded(self.start, name.as_bytes(), SMALL)
    }

    /// The hash of bytes, under a number.
    #[must_use]
    pub fn hash_bytes(self, number: u64, bytes: &[u8]) -> u64 {
        self.folded(self.mixed(self.start, number), bytes, 0)
    }

    fn folded(self, start: u64, bytes: &[u8], small: u64) -> u64 {
        let (words, rest) = bytes.as_chunks::<8>();
        let state = words.iter().fold(start, |state, word| {
            self.mixed(state, u64::from_le_bytes(*word) | small)
        });
        let last = rest.iter().fold(1, |word, byte| (word << 8) | u64::from(*byte));
        self.mixed(state, last | small).wrapping_add(bytes.len() as u64)
    }

    fn mixed(self, state: u64, word: u64) -> u64 {
        let product = u128::from(state ^ word) * u128::from(self.factor);
        // Both halves, folded.
        (product as u64) ^ ((product >> 64) as u64)
    }
}

/// Makes the hasher for keys that are hashes already.
pub type Hashed = BuildHasherDefault<Same>;

/// A hash is its own hash.
#[derive(Debug, Default)]
pub struct Same(u64);

impl Hasher for Same {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 << 8) ^ u64::from(*byte);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn the_port_goes() {
        for (authority, host) in [
            ("Hello.example.com", "Hello.example.com"),
            ("a.b:80", "a.b"),
            ("a.b:", "a.b"),
            ("a.b80", "a.b80"),
            ("[::1]:8080", "[::1]"),
            ("[::1]", "[::1]"),
            ("::1", "::1"),
            ("a.b:http", "a.b:http"),
            (":80", ""),
            ("", ""),
        ] {
            assert_eq!(name(authority), host);
        }
    }

    #[test]
    fn what_can_be_no_name_is_not_routable() {
        let long = "a".repeat(LONGEST + 1);
        for bad in ["", ":80", "bücher.example", "a b", "a/b", "a\r\nX: 1", &long] {
            assert!(routable(bad).is_none(), "{bad}");
        }
        assert!(routable(&long[1..]).is_some());
        assert_eq!(routable("A.b:80").as_deref(), Some("a.b"));
    }

    #[test]
    fn case_does_not_change_the_hash_and_anything_else_does() {
        let key = Key::random();
        assert_eq!(
            key.hash("Hello.Default.EXAMPLE.com"),
            key.hash("hello.default.example.com")
        );
        let names = (0..100_000).map(|number| format!("service-{number}.default.example.com"));
        let shorter = (0..300).map(|length| "a".repeat(length));
        let hashes: HashSet<_> = names.chain(shorter).map(|name| key.hash(&name)).collect();
        assert_eq!(hashes.len(), 100_300);
    }
}
