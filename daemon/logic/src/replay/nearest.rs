// SPDX-License-Identifier: Apache-2.0
//! Which known names a mistyped one may have meant.
//!
//! Mechanism: edit distance (insert, delete, replace), and containment for names cut short.
//! Depends on: nothing.

/// At most so many names are offered.
const OFFERED: usize = 3;

/// The known names nearest to `name`, the nearest first; none if all are far.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let longest = name.chars().count().max(3) / 3;
    let mut found: Vec<_> = known
        .into_iter()
        .filter_map(|candidate| {
            let is_part = name.len() >= 3 && candidate.contains(name);
            let distance = distance(name, candidate);
            (distance <= longest || is_part).then_some((!is_part, distance, candidate))
        })
        .collect();
    found.sort_unstable();
    found
        .into_iter()
        .take(OFFERED)
        .map(|(.., candidate)| candidate)
        .collect()
}

/// Edits that make one of the other.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (line, left) in left.chars().enumerate() {
        let mut diagonal = line;
        let mut before = line + 1;
        let cells = row.iter_mut();
        for (index, cell) in cells.enumerate() {
            if index == 0 {
                *cell = line + 1;
                continue;
            }
            let replaced = diagonal + usize::from(right.get(index - 1) != Some(&left));
            diagonal = *cell;
            *cell = replaced.min(*cell + 1).min(before + 1);
            before = *cell;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_counted() {
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("window", "window"), 0);
        assert_eq!(distance("windwo", "window"), 2);
        assert_eq!(distance("kitten", "sitting"), 3);
    }

    #[test]
    fn the_nearest_names_come_first_and_far_ones_never() {
        let known = ["window", "stable-window", "target", "max-scale", "min-scale"];
        assert_eq!(nearest("windw", known), ["window"]);
        assert_eq!(nearest("max_scale", known), ["max-scale", "min-scale"]);
        assert_eq!(nearest("scale", known), ["max-scale", "min-scale"]);
        assert!(nearest("zzz", known).is_empty());
    }
}
