// SPDX-License-Identifier: Apache-2.0
//! What `/metrics` says: every part of the process adds its figures to one page in Prometheus' text format.
//!
//! Problem: thousands of revisions have a dozen figures each; keeping a copy of all, current at every moment, would cost
//! more than the figures.
//! Mechanism: whoever has figures is a [`Source`] that is asked while a page is made; only distributions
//! ([`Histogram`]) are kept as they happen.
//! Invariants: the samples of a family stand together, under one `HELP` and `TYPE`, in the order they were given; families
//! are sorted by name; a source whose owner is gone is asked no more.
//! Depends on: family, histogram, page.

mod family;
mod histogram;
pub mod names;
mod page;

pub use family::{Family, Kind};
pub use histogram::Histogram;
pub use page::Page;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// The content type of a page.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Whoever has figures.
pub trait Source: Send + Sync {
    /// Adds them to a page.
    fn write(&self, page: &mut Page);
}

/// Who is asked for figures; clones are the same registry.
#[derive(Clone, Default)]
pub struct Registry {
    sources: Arc<Mutex<Vec<Weak<dyn Source>>>>,
}

impl fmt::Debug for Registry {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Registry").finish_non_exhaustive()
    }
}

impl Registry {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks this source from now on, for as long as somebody owns it.
    pub fn add<S: Source + 'static>(&self, source: &Arc<S>) {
        let weak = Arc::downgrade(source);
        self.sources.lock().unwrap_or_else(PoisonError::into_inner).push(weak);
    }

    /// The page as it is now.
    #[must_use]
    pub fn page(&self) -> String {
        // Sources are asked without the lock: they may take their time.
        let sources: Vec<_> = {
            let mut known = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
            known.retain(|source| source.strong_count() > 0);
            known.iter().filter_map(Weak::upgrade).collect()
        };
        let mut page = Page::default();
        for source in sources {
            source.write(&mut page);
        }
        page.text()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PODS: Family = Family::gauge("pods", "Pods.", &["revision"]);
    const BYTES: Family = Family::counter("bytes_total", "Bytes.", &[]);

    struct Figures(f64);

    impl Source for Figures {
        fn write(&self, page: &mut Page) {
            page.sample(&PODS, &["a"], self.0);
            page.sample(&BYTES, &[], 0.5);
        }
    }

    #[test]
    fn families_of_several_sources_stand_together() {
        let registry = Registry::new();
        let (one, two) = (Arc::new(Figures(1.0)), Arc::new(Figures(2.0)));
        registry.add(&one);
        registry.add(&two);
        let expected = "# HELP bytes_total Bytes.\n# TYPE bytes_total counter\nbytes_total 0.5\nbytes_total 0.5\n\
                        # HELP pods Pods.\n# TYPE pods gauge\npods{revision=\"a\"} 1\npods{revision=\"a\"} 2\n";
        assert_eq!(registry.page(), expected);
    }

    #[test]
    fn a_source_that_is_gone_is_asked_no_more() {
        let registry = Registry::new();
        let source = Arc::new(Figures(1.0));
        registry.add(&source);
        drop(source);
        assert_eq!(registry.page(), "");
    }
}
