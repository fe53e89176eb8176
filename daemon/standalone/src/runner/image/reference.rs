// SPDX-License-Identifier: Apache-2.0
//! Names of images: the same image has several.
//!
//! Depends on: nothing.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// The path for a name: the very name first, then the same in other words, then the name without its digest.
pub(super) fn find<'a>(named: &'a BTreeMap<String, PathBuf>, name: &str) -> Option<&'a PathBuf> {
    let same = |wanted: &str| {
        let wanted = plain(wanted);
        named.iter().find(|(one, _)| plain(one) == wanted).map(|(_, path)| path)
    };
    let bare = name.split('@').next().unwrap_or(name);
    named.get(name).or_else(|| same(name)).or_else(|| same(bare))
}

/// Without what is understood.
fn plain(name: &str) -> &str {
    let mut name = name.strip_suffix(":latest").unwrap_or(name);
    for understood in ["index.docker.io/", "docker.io/", "dev.local/", "library/"] {
        name = name.strip_prefix(understood).unwrap_or(name);
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_image_has_several_names() {
        let named = BTreeMap::from([
            ("hello".to_owned(), PathBuf::from("/a")),
            ("example.com/app:v1".to_owned(), PathBuf::from("/b")),
        ]);
        let at = |name| find(&named, name).map(|path| path.display().to_string());
        for name in [
            "hello",
            "hello:latest",
            "docker.io/library/hello",
            "index.docker.io/library/hello@sha256:12",
        ] {
            assert_eq!(at(name).as_deref(), Some("/a"), "{name}");
        }
        assert_eq!(at("example.com/app:v1@sha256:00").as_deref(), Some("/b"));
        for name in ["hello:v2", "example.com/app", "example.com/hello", ""] {
            assert_eq!(at(name), None, "{name}");
        }
    }
}
