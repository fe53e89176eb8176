// SPDX-License-Identifier: Apache-2.0
//! Names that a certificate is for, and the one a client asks for.
//!
//! Mechanism: exact names stand over wildcards, these over the default. A wildcard is for one label (RFC 6125 6.4.3).
//! Depends on: logic (names of hosts).

use logic::traffic::host;
use std::collections::HashMap;

/// For every client that no other name fits, and for those that send none.
const DEFAULT: &str = "*";

/// What belongs to which name.
#[derive(Debug)]
pub(super) struct ByName<T> {
    /// Names in small letters; a wildcard without its star: `.example.com`.
    held: HashMap<Box<str>, T>,
}

impl<T> Default for ByName<T> {
    fn default() -> Self {
        Self { held: HashMap::new() }
    }
}

impl<T> ByName<T> {
    /// What is under this very name, as `key` makes it.
    pub(super) fn under(&self, key: &str) -> Option<&T> {
        self.held.get(key)
    }

    /// Adds it, unless the name is taken.
    pub(super) fn add(&mut self, key: Box<str>, value: T) -> bool {
        match self.held.entry(key) {
            std::collections::hash_map::Entry::Occupied(_) => false,
            std::collections::hash_map::Entry::Vacant(free) => {
                free.insert(value);
                true
            }
        }
    }

    /// For the name that a client asks for.
    pub(super) fn find(&self, asked: Option<&str>) -> Option<&T> {
        let named = asked.and_then(|asked| {
            let asked = asked.to_ascii_lowercase();
            let wild = || self.held.get(asked.get(asked.find('.')?..)?);
            self.held.get(&*asked).or_else(wild)
        });
        named.or_else(|| self.held.get(DEFAULT))
    }
}

/// The key of a name: a host, `*.` and a host, or `*`; `None` if it is no name.
pub(super) fn key(name: &str) -> Option<Box<str>> {
    match name.strip_prefix('*') {
        Some("") => Some(DEFAULT.into()),
        Some(domain) => {
            let host = host::routable(domain.strip_prefix('.')?)?;
            Some(format!(".{host}").into())
        }
        None if name.contains('*') => None,
        None => Some(host::routable(name)?.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(names: &[&'static str]) -> ByName<&'static str> {
        let mut held = ByName::default();
        for name in names {
            assert!(held.add(key(name).unwrap(), *name), "{name}");
        }
        held
    }

    #[test]
    fn the_nearest_name_wins() {
        let held = held(&["a.example.com", "*.Example.com", "*.a.example.com", "*"]);
        for (asked, expected) in [
            (Some("A.example.com"), "a.example.com"),
            (Some("b.example.com"), "*.Example.com"),
            (Some("b.a.example.com"), "*.a.example.com"),
            (Some("c.b.a.example.com"), "*"),
            (Some("example.com"), "*"),
            (Some("localhost"), "*"),
            (None, "*"),
        ] {
            assert_eq!(held.find(asked), Some(&expected), "{asked:?}");
        }
    }

    #[test]
    fn without_a_default_a_stranger_gets_nothing() {
        let held = held(&["a.example.com", "*.b.example.com"]);
        assert_eq!(held.find(Some("b.example.com")), None);
        assert_eq!(held.find(None), None);
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for name in ["", "a.*.b", "*a.b", "*.", "**", "bücher.example"] {
            assert_eq!(key(name), None, "{name}");
        }
    }
}
