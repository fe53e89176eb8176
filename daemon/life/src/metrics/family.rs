// SPDX-License-Identifier: Apache-2.0
//! What a figure is called, what it means and by what it is told apart.
//!
//! Depends on: nothing.

/// What may become of a figure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// It only grows.
    Counter,
    /// It is what it is.
    Gauge,
    /// A distribution; the upper bounds of its classes.
    Histogram(&'static [f64]),
}

/// A figure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Family {
    /// Its name, with the suffixes that Prometheus wants.
    pub name: &'static str,
    /// One sentence.
    pub help: &'static str,
    /// What may become of it.
    pub kind: Kind,
    /// The names of its labels.
    pub labels: &'static [&'static str],
}

impl Kind {
    /// The word after `# TYPE`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram(_) => "histogram",
        }
    }
}

impl Family {
    /// A figure that only grows.
    #[must_use]
    pub const fn counter(name: &'static str, help: &'static str, labels: &'static [&'static str]) -> Self {
        Self::new(name, help, Kind::Counter, labels)
    }

    /// A figure that is what it is.
    #[must_use]
    pub const fn gauge(name: &'static str, help: &'static str, labels: &'static [&'static str]) -> Self {
        Self::new(name, help, Kind::Gauge, labels)
    }

    /// A distribution over these classes.
    #[must_use]
    pub const fn histogram(
        name: &'static str,
        help: &'static str,
        labels: &'static [&'static str],
        bounds: &'static [f64],
    ) -> Self {
        Self::new(name, help, Kind::Histogram(bounds), labels)
    }

    const fn new(name: &'static str, help: &'static str, kind: Kind, labels: &'static [&'static str]) -> Self {
        Self {
            name,
            help,
            kind,
            labels,
        }
    }
}
