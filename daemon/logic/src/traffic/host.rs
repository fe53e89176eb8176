// SPDX-License-Identifier: Apache-2.0
//! The host of a request as routes know it: without its port, in lower case.
//!
//! Invariants: nothing is allocated; a name longer than DNS allows is no host of any route.
//! Depends on: nothing.

/// The longest name there is (RFC 1035, 2.3.4, as text).
pub const LONGEST: usize = 253;

/// A host in lower case, on the stack.
#[derive(Debug, Clone)]
pub struct Host {
    bytes: [u8; LONGEST],
    length: usize,
}

impl Host {
    /// From a `Host` header or `:authority`; none if it is empty, too long or not ASCII.
    #[must_use]
    pub fn of(authority: &str) -> Option<Self> {
        let name = without_port(authority);
        if name.is_empty() || !name.is_ascii() {
            return None;
        }
        let mut bytes = [0; LONGEST];
        let room = bytes.get_mut(..name.len())?;
        room.copy_from_slice(name.as_bytes());
        room.make_ascii_lowercase();
        Some(Self {
            bytes,
            length: name.len(),
        })
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let bytes = self.bytes.get(..self.length).unwrap_or_default();
        // Always ASCII, hence UTF-8.
        std::str::from_utf8(bytes).unwrap_or_default()
    }
}

/// Without `:port`; the brackets of an IPv6 address stay.
fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && is_whole(name) => name,
        _ => authority,
    }
}

/// Whether no colon of an IPv6 address is open in it.
fn is_whole(name: &str) -> bool {
    !name.contains(':') || name.ends_with(']')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_goes_and_case_folds() {
        for (authority, host) in [
            ("Hello.Default.EXAMPLE.com", "hello.default.example.com"),
            ("a.b:80", "a.b"),
            ("a.b:", "a.b"),
            ("[::1]:8080", "[::1]"),
            ("[::1]", "[::1]"),
            ("::1", "::1"),
            ("a.b:http", "a.b:http"),
        ] {
            assert_eq!(Host::of(authority).unwrap().as_str(), host);
        }
    }

    #[test]
    fn what_can_be_no_name_is_no_host() {
        let long = "a".repeat(LONGEST + 1);
        for bad in ["", ":80", "bücher.example", &long] {
            assert!(Host::of(bad).is_none(), "{bad}");
        }
        assert!(Host::of(&long[1..]).is_some());
    }
}
