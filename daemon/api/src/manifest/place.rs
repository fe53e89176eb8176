// SPDX-License-Identifier: Apache-2.0
//! The line of a field, by its path in the words of the webhook.
//!
//! Paths cannot be split at dots, since keys have dots too; some of Knative's name no field at all: then it is the
//! nearest one around it.
//! Depends on: logic (YAML).

use logic::go::yaml::Node;

/// The line of the field, or of what is around the place where it should be.
pub(super) fn line(root: &Node, path: &str) -> usize {
    let (mut node, mut line, mut rest) = (root, root.line, path);
    while !rest.is_empty() {
        rest = rest.strip_prefix('.').unwrap_or(rest);
        let Some((next, at, after)) = step(node, rest) else {
            break;
        };
        (node, line, rest) = (next, at, after);
    }
    line
}

fn step<'a, 'p>(node: &'a Node, path: &'p str) -> Option<(&'a Node, usize, &'p str)> {
    if let Some((index, after)) = path.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        if let Some(item) = index.parse().ok().and_then(|index: usize| node.items().get(index)) {
            return Some((item, item.line, after));
        }
        return node.entry(index).map(|entry| (&entry.value, entry.line, after));
    }
    let ends = |rest: &str| rest.is_empty() || rest.starts_with(['.', '[', ' ', '=']);
    node.entries()
        .iter()
        .filter_map(|entry| Some((entry, path.strip_prefix(entry.key.as_str())?)))
        .filter(|(_, rest)| ends(rest))
        .max_by_key(|(entry, _)| entry.key.len())
        .map(|(entry, rest)| (&entry.value, entry.line, rest))
}
