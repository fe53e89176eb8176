// SPDX-License-Identifier: Apache-2.0
//! Numbers in sentences.
//!
//! Depends on: nothing.

/// `1 port`, `2 ports`.
pub(crate) fn plural(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_is_singular() {
        assert_eq!(plural(0, "port"), "0 ports");
        assert_eq!(plural(1, "other port"), "1 other port");
        assert_eq!(plural(2, "port"), "2 ports");
    }
}
