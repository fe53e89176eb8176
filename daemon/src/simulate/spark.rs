// SPDX-License-Identifier: Apache-2.0
//! A curve in one line of text.
//!
//! Depends on: nothing.

const BLOCKS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The largest value of each of `width` parts, as blocks up to `most`.
pub(super) fn line(values: &[f64], width: usize, most: f64) -> String {
    parts(values.len(), width)
        .map(|range| {
            let value = values
                .get(range)
                .unwrap_or_default()
                .iter()
                .copied()
                .fold(0.0, f64::max);
            let level = match most > 0.0 {
                true => (value / most * 8.0).ceil() as usize,
                false => 0,
            };
            BLOCKS.get(level.min(8)).copied().unwrap_or(' ')
        })
        .collect()
}

/// A mark for each part in which something is true.
pub(super) fn marks(values: &[Option<char>], width: usize) -> String {
    parts(values.len(), width)
        .map(|range| {
            let marks = values.get(range).unwrap_or_default().iter().flatten();
            marks.min().copied().unwrap_or(' ')
        })
        .collect()
}

/// `count` things in at most `width` parts.
fn parts(count: usize, width: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    let width = width.clamp(1, count.max(1));
    (0..width).map(move |part| {
        let begin = part * count / width;
        begin..((part + 1) * count / width).max(begin + 1).min(count)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peaks_survive() {
        assert_eq!(line(&[0.0, 8.0, 0.0, 1.0], 2, 8.0), "█▁");
        assert_eq!(line(&[1.0, 2.0], 9, 2.0), "▄█");
        assert_eq!(line(&[], 5, 1.0), " ");
        assert_eq!(marks(&[None, Some('~'), Some('!'), None], 2), "~!");
    }
}
