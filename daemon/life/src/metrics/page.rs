// SPDX-License-Identifier: Apache-2.0
//! One page of figures in Prometheus' text format, version 0.0.4.
//!
//! Invariants: texts are escaped, so no label breaks a line; a sample has as many labels as its family.
//! Depends on: family, histogram.

use super::family::Family;
use super::histogram::Histogram;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// A page that is being made.
#[derive(Debug, Default)]
pub struct Page {
    families: BTreeMap<&'static str, (Family, String)>,
}

impl Page {
    /// Adds a sample; `labels` are the values of the family's labels, in their order. Missing ones are empty.
    pub fn sample(&mut self, family: &Family, labels: &[&str], value: f64) {
        let lines = self.lines(family);
        line(lines, (family.name, ""), family.labels, labels, None, value);
    }

    /// Adds a distribution.
    pub fn histogram(&mut self, family: &Family, labels: &[&str], histogram: &Histogram) {
        self.distribution(family, labels, histogram.cumulated(), Some(histogram.sum()));
    }

    /// Adds a distribution that somebody else keeps: upper bounds and how many were not above them, the last one
    /// infinite. Without a sum there is no line of it.
    pub fn distribution(
        &mut self,
        family: &Family,
        labels: &[&str],
        cumulated: impl IntoIterator<Item = (f64, u64)>,
        sum: Option<f64>,
    ) {
        let lines = self.lines(family);
        let mut count = 0;
        for (bound, below) in cumulated {
            count = below;
            let name = (family.name, "_bucket");
            line(lines, name, family.labels, labels, Some(bound), below as f64);
        }
        if let Some(sum) = sum {
            line(lines, (family.name, "_sum"), family.labels, labels, None, sum);
        }
        let name = (family.name, "_count");
        line(lines, name, family.labels, labels, None, count as f64);
    }

    /// The page.
    #[must_use]
    pub fn text(self) -> String {
        let mut text = String::new();
        for (name, (family, lines)) in self.families {
            let word = family.kind.word();
            // Writing to a String cannot fail.
            let _ = writeln!(text, "# HELP {name} {}", escaped(family.help, false));
            let _ = writeln!(text, "# TYPE {name} {word}");
            text.push_str(&lines);
        }
        text
    }

    fn lines(&mut self, family: &Family) -> &mut String {
        let (_, lines) = self
            .families
            .entry(family.name)
            .or_insert_with(|| (*family, String::new()));
        lines
    }
}

/// One line; `bound` is the label `le` of a class.
fn line(
    text: &mut String,
    (name, suffix): (&str, &str),
    names: &[&str],
    values: &[&str],
    bound: Option<f64>,
    value: f64,
) {
    text.push_str(name);
    text.push_str(suffix);
    let mut separator = '{';
    for (index, name) in names.iter().enumerate() {
        let value = values.get(index).copied().unwrap_or_default();
        let _ = write!(text, "{separator}{name}=\"{}\"", escaped(value, true));
        separator = ',';
    }
    if let Some(bound) = bound {
        let _ = write!(text, "{separator}le=\"{}\"", number(bound));
        separator = ',';
    }
    if separator == ',' {
        text.push('}');
    }
    let _ = writeln!(text, " {}", number(value));
}

fn number(value: f64) -> String {
    match value {
        _ if value == f64::INFINITY => "+Inf".to_owned(),
        _ if value == f64::NEG_INFINITY => "-Inf".to_owned(),
        _ => value.to_string(),
    }
}

fn escaped(text: &str, is_label: bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\\' => escaped.push_str("\\\\"),
            '\n' => escaped.push_str("\\n"),
            '"' if is_label => escaped.push_str("\\\""),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_label_breaks_a_line() {
        const FAMILY: Family = Family::gauge("f", "F.", &["l", "m"]);
        let mut page = Page::default();
        page.sample(&FAMILY, &["a\"b\\c\nd"], f64::NAN);
        assert!(page.text().ends_with("f{l=\"a\\\"b\\\\c\\nd\",m=\"\"} NaN\n"));
    }

    #[test]
    fn a_distribution_has_classes_sum_and_count() {
        const FAMILY: Family = Family::histogram("t_seconds", "T.", &["c"], &[0.5]);
        let histogram = Histogram::new(&[0.5]);
        histogram.observe(0.25);
        histogram.observe(2.0);
        let mut page = Page::default();
        page.histogram(&FAMILY, &["200"], &histogram);
        let expected = "# HELP t_seconds T.\n# TYPE t_seconds histogram\n\
                        t_seconds_bucket{c=\"200\",le=\"0.5\"} 1\nt_seconds_bucket{c=\"200\",le=\"+Inf\"} 2\n\
                        t_seconds_sum{c=\"200\"} 2.25\nt_seconds_count{c=\"200\"} 2\n";
        assert_eq!(page.text(), expected);
    }
}
