// SPDX-License-Identifier: Apache-2.0
//! What a path rule asks of a request's headers and cookies.
//!
//! Mechanism: names without regard to case, values byte for byte; of a header that stands several times any value may
//! match. A KIngress knows only "header equals" (control-plane spec 5.1); presence and cookies are Sluice's own.
//! Invariants: looking allocates nothing.
//! Depends on: nothing.

/// The headers of a request.
pub trait Headers {
    /// Whether `holds` says yes to any value of the header `name` (lower case), asked in order.
    fn any(&self, name: &str, holds: &mut dyn FnMut(&[u8]) -> bool) -> bool;
}

/// Names and values; names in any case.
impl Headers for [(&str, &str)] {
    fn any(&self, name: &str, holds: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        self.iter()
            .any(|(other, value)| other.eq_ignore_ascii_case(name) && holds(value.as_bytes()))
    }
}

/// Where to look.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Source {
    /// A header, by its name in lower case.
    Header(Box<str>),
    /// A cookie, by its exact name.
    Cookie(Box<str>),
}

/// What must be there.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Wanted {
    /// This value.
    Exactly(Box<[u8]>),
    /// Any value, the empty one too.
    Present,
}

/// One thing asked of a request.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Condition {
    source: Source,
    wanted: Wanted,
}

impl Condition {
    /// The header has this value.
    #[must_use]
    pub fn header(name: &str, value: &str) -> Self {
        let source = Source::Header(name.to_ascii_lowercase().into());
        Self {
            source,
            wanted: Wanted::Exactly(value.as_bytes().into()),
        }
    }

    /// The header is there.
    #[must_use]
    pub fn header_present(name: &str) -> Self {
        Self {
            source: Source::Header(name.to_ascii_lowercase().into()),
            wanted: Wanted::Present,
        }
    }

    /// The cookie has this value.
    #[must_use]
    pub fn cookie(name: &str, value: &str) -> Self {
        Self {
            source: Source::Cookie(name.into()),
            wanted: Wanted::Exactly(value.as_bytes().into()),
        }
    }

    /// The cookie is there.
    #[must_use]
    pub fn cookie_present(name: &str) -> Self {
        Self {
            source: Source::Cookie(name.into()),
            wanted: Wanted::Present,
        }
    }

    /// Where it looks.
    #[must_use]
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// What it wants there.
    #[must_use]
    pub fn wanted(&self) -> &Wanted {
        &self.wanted
    }

    /// Whether these headers satisfy it.
    pub fn holds(&self, headers: &dyn Headers) -> bool {
        self.source.any(headers, &mut |value| match &self.wanted {
            Wanted::Exactly(wanted) => value == &**wanted,
            Wanted::Present => true,
        })
    }
}

impl Source {
    /// Whether `holds` says yes to any value there.
    pub fn any(&self, headers: &dyn Headers, holds: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        match self {
            Self::Header(name) => headers.any(name, holds),
            Self::Cookie(name) => headers.any("cookie", &mut |line| {
                cookies(line).any(|(other, value)| other == name.as_bytes() && holds(value))
            }),
        }
    }
}

/// The pairs of one `Cookie` header (RFC 6265, 4.2.1); what has no `=` is no cookie.
fn cookies(line: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    line.split(|byte| *byte == b';').filter_map(|pair| {
        let equals = pair.iter().position(|byte| *byte == b'=')?;
        let (name, value) = pair.split_at_checked(equals)?;
        Some((name.trim_ascii(), value.get(1..)?.trim_ascii()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(condition: &Condition, headers: &[(&str, &str)]) -> bool {
        condition.holds(&Pairs(headers))
    }

    /// A sized wrapper, as a proxy's would be.
    struct Pairs<'a>(&'a [(&'a str, &'a str)]);

    impl Headers for Pairs<'_> {
        fn any(&self, name: &str, holds: &mut dyn FnMut(&[u8]) -> bool) -> bool {
            self.0.any(name, holds)
        }
    }

    #[test]
    fn a_header_matches_its_whole_value_and_any_case_of_its_name() {
        let tag = Condition::header("Knative-Serving-Tag", "v1");
        assert!(holds(&tag, &[("knative-serving-TAG", "v1")]));
        assert!(holds(
            &tag,
            &[("Knative-Serving-Tag", "x"), ("Knative-Serving-Tag", "v1")]
        ));
        for value in ["V1", "v1 ", "v", "", "v12"] {
            assert!(!holds(&tag, &[("Knative-Serving-Tag", value)]), "{value:?}");
        }
        assert!(!holds(&tag, &[]));
    }

    #[test]
    fn presence_is_satisfied_by_an_empty_value() {
        assert!(holds(&Condition::header_present("X-Beta"), &[("x-beta", "")]));
        assert!(!holds(&Condition::header_present("X-Beta"), &[("x-alpha", "")]));
        assert!(holds(&Condition::cookie_present("b"), &[("Cookie", "a=1; b=")]));
        assert!(!holds(&Condition::cookie_present("b"), &[("Cookie", "a=1; b")]));
    }

    #[test]
    fn a_cookie_is_found_among_others_and_in_split_headers() {
        let beta = Condition::cookie("group", "beta=1");
        assert!(holds(&beta, &[("cookie", "a=b;group=beta=1 ; c")]));
        assert!(holds(&beta, &[("cookie", "a=b"), ("cookie", "group=beta=1")]));
        assert!(!holds(&beta, &[("cookie", "agroup=beta=1; Group=beta=1; group=beta")]));
    }
}
