// SPDX-License-Identifier: Apache-2.0
//! What is wrong with text that is no YAML, when it is the indentation.
//!
//! Depends on: nothing.

/// What to say instead of the parser's words.
pub(super) struct Help {
    pub(super) line: usize,
    pub(super) message: String,
    pub(super) help: String,
}

/// What is wrong near `line`, from 1, if it can be told.
pub(super) fn help(text: &str, line: usize) -> Option<Help> {
    // The parser sees a mistake at the earliest where it is, at the latest some lines after.
    let lines: Vec<&str> = text.lines().take(line.saturating_add(1)).collect();
    tab(&lines).or_else(|| odd(&lines))
}

fn tab(lines: &[&str]) -> Option<Help> {
    lines.iter().zip(1..).find_map(|(text, line)| {
        let indent = text.len() - text.trim_start_matches([' ', '\t']).len();
        text.get(..indent)?.contains('\t').then(|| Help {
            line,
            message: "indented by a tab, which YAML does not allow".to_owned(),
            help: "use spaces".to_owned(),
        })
    })
}

/// The last line that stands at none of the depths of the lines around it.
fn odd(lines: &[&str]) -> Option<Help> {
    // How deep each open object stands, and whether it is a list.
    let mut depths: Vec<(usize, bool)> = vec![(0, false)];
    let mut opens = true;
    let mut block: Option<usize> = None;
    let mut found = None;
    for (text, line) in lines.iter().zip(1..) {
        let content = text.trim_start_matches(' ');
        let indent = text.len() - content.len();
        if content.is_empty() || content.starts_with('#') {
            continue;
        }
        if content.starts_with("---") {
            (depths, opens, block) = (vec![(0, false)], true, None);
            continue;
        }
        if block.is_some_and(|depth| indent > depth) {
            continue;
        }
        block = None;
        let mut deeper = None;
        while depths.len() > 1 && depths.last().is_some_and(|(depth, _)| *depth > indent) {
            deeper = depths.pop().map(|(depth, _)| depth);
        }
        let (around, is_list) = depths.last().copied().unwrap_or_default();
        if around < indent {
            if !opens && let Some(key) = key(content) {
                let nearest = match deeper {
                    Some(deeper) if is_list || deeper - indent < indent - around => deeper,
                    _ => around,
                };
                found = Some(Help {
                    line,
                    message: format!("\"{key}\" is indented by {indent} where its siblings have {nearest}"),
                    help: format!("indent it by {nearest}"),
                });
            }
            depths.push((indent, false));
        }
        let inner = content.trim_start_matches("- ");
        if inner.len() < content.len() {
            if let Some((_, is_list)) = depths.last_mut().filter(|(depth, _)| *depth == indent) {
                *is_list = true;
            }
            depths.push((indent + content.len() - inner.len(), false));
        }
        opens = inner.trim_end().ends_with(':') || inner.trim() == "-";
        if inner.trim_end().ends_with(['|', '>'])
            || inner.trim_end().ends_with("|-")
            || inner.trim_end().ends_with(">-")
        {
            block = Some(indent);
        }
    }
    found
}

fn key(content: &str) -> Option<&str> {
    let (key, _) = content.trim_start_matches("- ").split_once(':')?;
    Some(key.trim().trim_matches(['"', '\'']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_odd_one_out_is_named() {
        let text = "spec:\n  template:\n    metadata:\n      a: b\n     spec:\n      x: y\n";
        let help = help(text, 5).unwrap();
        assert_eq!((help.line, help.help.as_str()), (5, "indent it by 4"));
        assert_eq!(help.message, "\"spec\" is indented by 5 where its siblings have 4");
    }

    #[test]
    fn a_field_beside_an_item_belongs_into_it() {
        let text = "a:\n  - b: 1\n   c: 2\n";
        assert_eq!(help(text, 3).unwrap().help, "indent it by 4");
    }

    #[test]
    fn a_tab_is_named() {
        assert_eq!(help("a:\n\tb: 1\n", 2).unwrap().line, 2);
    }
}
