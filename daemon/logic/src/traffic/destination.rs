// SPDX-License-Identifier: Apache-2.0
//! Where a request goes and what is done to it before.
//!
//! Invariants: a header is set once; what the split sets wins over what the path sets (control-plane spec 5.2, "Headers");
//! none is set that says where a message ends, whose it is, or how one connection goes on: two readers could then disagree.
//! Depends on: host.

use super::host::is_host;

/// What a route does not set: host and framing are said anew to each pod, the others are for one hop (RFC 9110 7.6.1).
const NOT_SET: [&str; 12] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Whether a route may set this header.
#[must_use]
pub fn may_be_set(name: &str) -> bool {
    !NOT_SET.iter().any(|other| other.eq_ignore_ascii_case(name))
}

/// A port of a Service.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum BackendPort {
    /// By number.
    Number(u16),
    /// By name.
    Name(Box<str>),
}

/// One backend of a split.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// Namespace of the Service.
    pub namespace: Box<str>,
    /// Name of the Service; for a Route that is the revision.
    pub service: Box<str>,
    /// Port of the Service.
    pub port: BackendPort,
    /// The host the backend is to see instead of the client's (`rewriteHost`).
    pub host: Option<Box<str>>,
    /// Clients of plain HTTP are sent to HTTPS instead (`httpOption: Redirected`); it counts on external listeners only.
    pub https_only: bool,
    set_headers: Box<[(Box<str>, Box<str>)]>,
}

impl Destination {
    /// A backend that gets the request as it came.
    #[must_use]
    pub fn new(namespace: &str, service: &str, port: BackendPort) -> Self {
        Self {
            namespace: namespace.into(),
            service: service.into(),
            port,
            host: None,
            https_only: false,
            set_headers: Box::default(),
        }
    }

    /// With another host for the backend; what can be none changes nothing.
    #[must_use]
    pub fn with_host(mut self, host: &str) -> Self {
        self.host = (!host.is_empty() && is_host(host.as_bytes())).then(|| host.into());
        self
    }

    /// For clients of HTTPS only, or for all.
    #[must_use]
    pub fn https_only(mut self, https_only: bool) -> Self {
        self.https_only = https_only;
        self
    }

    /// With these headers set, later ones over earlier ones: first the path's `appendHeaders`, then the split's. Those that
    /// no route may set are left out.
    #[must_use]
    pub fn with_headers<'a>(mut self, headers: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut set = self.set_headers.into_vec();
        for (name, value) in headers.into_iter().filter(|(name, _)| may_be_set(name)) {
            set.retain(|(other, _)| !other.eq_ignore_ascii_case(name));
            set.push((name.into(), value.into()));
        }
        self.set_headers = set.into();
        self
    }

    /// The headers to set on the request, over any the client sent.
    pub fn set_headers(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.set_headers.iter().map(|(name, value)| (&**name, &**value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_splits_header_wins_over_the_paths() {
        let to = Destination::new("ns", "rev", BackendPort::Number(80))
            .with_headers([("A", "path"), ("B", "path")])
            .with_headers([("a", "split")])
            .with_host("");
        assert_eq!(to.set_headers().collect::<Vec<_>>(), [("B", "path"), ("a", "split")]);
        assert_eq!(to.host, None);
    }

    #[test]
    fn what_two_readers_could_read_differently_is_not_set() {
        let to = Destination::new("ns", "rev", BackendPort::Number(80))
            .with_headers([
                ("Content-Length", "3"),
                ("transfer-Encoding", "chunked"),
                ("HOST", "b"),
                ("A", "1"),
            ])
            .with_host("a\r\nX: 1");
        assert_eq!(to.set_headers().collect::<Vec<_>>(), [("A", "1")]);
        assert_eq!(to.host, None);
    }
}
