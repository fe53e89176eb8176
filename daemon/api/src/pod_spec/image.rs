// SPDX-License-Identifier: Apache-2.0
//! References of images, as loosely as Knative reads them: `[registry/]repository[:tag][@digest]`.
//!
//! Depends on: field_error.

use logic::go::print::quoted;

use crate::field_error::FieldErrors;

const DIGEST_PREFIX: &str = "sha256:";
const DIGEST_LENGTH: usize = 64;
/// The longest tag that registries keep.
const TAG_LENGTH: usize = 128;

pub(super) fn validate(image: &str) -> FieldErrors {
    if image.is_empty() {
        return FieldErrors::missing(["image"]);
    }
    if is_tagged(image) || is_digested(image) {
        return FieldErrors::none();
    }
    FieldErrors::generic("Failed to parse image reference", "image").with_details(format!(
        "image: {}, error: could not parse reference: {image}",
        quoted(image)
    ))
}

fn is_tagged(text: &str) -> bool {
    // A colon before the last slash belongs to the registry's port.
    match text.rsplit_once(':') {
        Some((base, tag)) if !tag.contains('/') => is_tag(tag) && is_repository(base),
        _ => is_repository(text),
    }
}

fn is_digested(text: &str) -> bool {
    let Some((base, digest)) = text.split_once('@') else {
        return false;
    };
    let is_digest = digest.strip_prefix(DIGEST_PREFIX).is_some_and(|hex| {
        hex.len() == DIGEST_LENGTH && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    });
    is_digest && is_tagged(base)
}

fn is_tag(tag: &str) -> bool {
    (1..=TAG_LENGTH).contains(&tag.len())
        && tag
            .chars()
            .all(|char| char.is_ascii_alphanumeric() || "_-.".contains(char))
}

fn is_repository(name: &str) -> bool {
    let (registry, repository) = match name.split_once('/') {
        Some((first, rest)) if first.contains(['.', ':']) => (first, rest),
        _ => ("", name),
    };
    let is_part = |char: char| char.is_ascii_lowercase() || char.is_ascii_digit() || "_-./".contains(char);
    (2..=255).contains(&repository.chars().count()) && repository.chars().all(is_part) && is_registry(registry)
}

/// Whether a URL could have it as its host.
fn is_registry(registry: &str) -> bool {
    let is_host_char =
        |char: char| char.is_ascii_alphanumeric() || !char.is_ascii() || "-_.~!$&'()*+,;=:[]<>\"".contains(char);
    let has_port = registry
        .rsplit_once(':')
        .is_none_or(|(_, port)| port.ends_with(']') || port.bytes().all(|byte| byte.is_ascii_digit()));
    registry.chars().all(is_host_char) && has_port
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_read_loosely() {
        let digest = "a".repeat(64);
        for good in [
            "ab",
            "a/b",
            "gcr.io/p/i:v1",
            "localhost:5000/x/y",
            "localhost/x",
            &format!("aa:v1@sha256:{digest}"),
            &format!("ab:{}", "t".repeat(128)),
        ] {
            assert!(validate(good).is_empty(), "{good}");
        }
        for bad in [
            "z",
            "UPPER/img",
            "a b",
            ":foo",
            "x.io/aa:",
            &format!("aa:@sha256:{digest}"),
            "ab@sha256:xyz",
            "u@h.io/ab",
            "h.io:x/ab",
            &format!("ab:{}", "t".repeat(129)),
        ] {
            assert!(!validate(bad).is_empty(), "{bad}");
        }
    }
}
