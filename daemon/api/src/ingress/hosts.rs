// SPDX-License-Identifier: Apache-2.0
//! The names under which a host inside the cluster is known: control-plane spec 4.7.
//!
//! Depends on: nothing.

use std::collections::BTreeSet;

/// `host` and its forms without `<cluster domain>` and without `svc.<cluster domain>`, sorted.
///
/// A form whose last part cannot stand at the end of a name (only digits, or over 63 bytes) is left out.
#[must_use]
pub fn expanded(host: &str, cluster_domain: &str) -> Vec<String> {
    let endings = [
        String::new(),
        format!(".{cluster_domain}"),
        format!(".svc.{cluster_domain}"),
    ];
    let forms: BTreeSet<_> = endings
        .iter()
        .filter_map(|ending| host.strip_suffix(ending.as_str()))
        .filter(|form| has_valid_end(form))
        .map(str::to_owned)
        .collect();
    forms.into_iter().collect()
}

fn has_valid_end(host: &str) -> bool {
    let last = host.rsplit('.').next().unwrap_or_default();
    last.len() <= 63 && last.bytes().any(|byte| byte == b'-' || byte > b'9')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_has_three_names() {
        assert_eq!(
            expanded("hello.default.svc.cluster.local", "cluster.local"),
            ["hello.default", "hello.default.svc", "hello.default.svc.cluster.local"]
        );
    }

    #[test]
    fn a_name_that_would_end_in_digits_is_left_out() {
        assert_eq!(
            expanded("hello.1234.svc.cluster.local", "cluster.local"),
            ["hello.1234.svc", "hello.1234.svc.cluster.local"]
        );
    }

    #[test]
    fn a_host_outside_stays_alone() {
        assert_eq!(expanded("a.example.com", "cluster.local"), ["a.example.com"]);
    }
}
