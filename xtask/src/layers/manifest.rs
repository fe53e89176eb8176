// SPDX-License-Identifier: Apache-2.0
//! Every member inherits the workspace's lints; lints that are only declared are decoration.
//!
//! Depends on: nothing; two spellings of one TOML key need no parser.

/// What is wrong with a member's manifest.
pub(super) fn check(folder: &str, manifest: &str) -> Option<String> {
    (!inherits_lints(manifest)).then(|| format!("{folder}: Cargo.toml lacks `[lints] workspace = true`"))
}

fn inherits_lints(manifest: &str) -> bool {
    let mut section = String::new();
    for line in manifest.lines() {
        let line: String = line.split('#').next().unwrap_or_default().split_whitespace().collect();
        if line.starts_with('[') {
            section = line;
        } else if (section == "[lints]" && line == "workspace=true")
            || (section.is_empty() && line == "lints.workspace=true")
        {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_inherit() {
        assert!(inherits_lints(
            "[package]\nname = \"a\"\n\n[lints]\nworkspace = true # all\n"
        ));
        assert!(inherits_lints("lints.workspace = true\n[package]\nname = \"a\"\n"));
    }

    #[test]
    fn a_manifest_that_does_not_inherit_is_found() {
        assert!(check("daemon", "[package]\nname = \"a\"\n").is_some());
        assert!(check("daemon", "[lints]\n[package]\nworkspace = true\n").is_some());
        assert!(check("daemon", "[lints]\nworkspace = false\n").is_some());
        assert!(check("daemon", "[lints]\n# workspace = true\n").is_some());
    }
}
