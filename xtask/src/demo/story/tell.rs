// SPDX-License-Identifier: Apache-2.0
//! How the story is told: headings, commands, bars.
//!
//! Depends on: nothing.

use std::time::Duration;

/// A heading.
pub(super) fn chapter(number: usize, title: &str) {
    println!("\n{number}  {title}");
}

/// What a person would type.
pub(super) fn command(line: &str) {
    println!("   $ {line}");
}

/// What happened.
pub(super) fn line(text: &str) {
    println!("   {text}");
}

/// So many of something, drawn.
pub(super) fn bar(count: usize) -> String {
    "█".repeat(count.min(60))
}

/// In milliseconds, or seconds when there are many.
pub(super) fn time(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    match seconds {
        0.0..1.0 => format!("{:.1} ms", seconds * 1000.0),
        _ => format!("{seconds:.2} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_at_a_glance() {
        assert_eq!(time(Duration::from_micros(8640)), "8.6 ms");
        assert_eq!(time(Duration::from_millis(1500)), "1.50 s");
    }
}
