// SPDX-License-Identifier: Apache-2.0
//! docs/benchmarks.md is written by several benches, each its own section.
//!
//! Mechanism: a section begins with the line `<!-- bench NAME -->`; what comes before the first such line is the section of
//! the first bench, `kernel`, with the file's title.
//! Invariants: writing one section leaves the others as they are.
//! Depends on: nothing.

use anyhow::{Context, Result};
use std::path::Path;

/// The section without a line of its own.
const FIRST: &str = "kernel";

/// Writes one bench's section into the file.
pub(crate) fn write(file: &Path, name: &str, text: &str) -> Result<()> {
    let before = std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
    std::fs::write(file, replaced(&before, name, text)).with_context(|| format!("writing {}", file.display()))?;
    eprintln!("section {name} of docs/benchmarks.md is written");
    Ok(())
}

/// The file with that section's text; a new section comes last.
fn replaced(file: &str, name: &str, text: &str) -> String {
    let mut sections = vec![(FIRST, String::new())];
    for line in file.lines() {
        match line
            .strip_prefix("<!-- bench ")
            .and_then(|rest| rest.strip_suffix(" -->"))
        {
            Some(name) => sections.push((name, String::new())),
            None => {
                if let Some((_, text)) = sections.last_mut() {
                    text.push_str(line);
                    text.push('\n');
                }
            }
        }
    }
    match sections.iter_mut().find(|(other, _)| *other == name) {
        Some((_, old)) => text.clone_into(old),
        None => sections.push((name, text.to_owned())),
    }
    let whole = sections.iter().map(|(name, text)| match *name {
        FIRST => format!("{}\n", text.trim_end()),
        name => format!("\n<!-- bench {name} -->\n\n{}\n", text.trim()),
    });
    whole.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_is_replaced_and_the_others_stay() {
        let one = replaced("# Title\n\nold\n", "logic", "a\n");
        assert_eq!(one, "# Title\n\nold\n\n<!-- bench logic -->\n\na\n");
        let two = replaced(&replaced(&one, "daemon", "d"), "logic", "b\n\n");
        assert_eq!(
            two,
            "# Title\n\nold\n\n<!-- bench logic -->\n\nb\n\n<!-- bench daemon -->\n\nd\n"
        );
        assert!(replaced(&two, "kernel", "# Title\n\nnew\n").starts_with("# Title\n\nnew\n\n<!-- bench logic -->\n"));
    }

    #[test]
    fn writing_the_same_changes_nothing() {
        let file = "# Title\n\n<!-- bench logic -->\n\na\n";
        assert_eq!(replaced(file, "logic", "a"), file);
    }
}
