// SPDX-License-Identifier: Apache-2.0
//! A request and an answer, as every step of the path sees them, whatever the protocol.
//!
//! Depends on: target.

use crate::target::Target;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

/// Knative's headers.
pub(crate) mod name {
    use http::HeaderName;

    pub(crate) const NETWORK_PROBE: HeaderName = HeaderName::from_static("k-network-probe");
    pub(crate) const NETWORK_HASH: HeaderName = HeaderName::from_static("k-network-hash");
    pub(crate) const KUBELET_PROBE: HeaderName = HeaderName::from_static("k-kubelet-probe");
    pub(crate) const ORIGINAL_HOST: HeaderName = HeaderName::from_static("k-original-host");
    pub(crate) const PROXY_REQUEST: HeaderName = HeaderName::from_static("k-proxy-request");
    pub(crate) const PASSTHROUGH: HeaderName = HeaderName::from_static("k-passthrough-lb");
    pub(crate) const REVISION: HeaderName = HeaderName::from_static("knative-serving-revision");
    pub(crate) const NAMESPACE: HeaderName = HeaderName::from_static("knative-serving-namespace");
    pub(crate) const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
    pub(crate) const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
    pub(crate) const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
    pub(crate) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
    pub(crate) const X_IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("x-idempotency-key");
    pub(crate) const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
    pub(crate) const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
}

/// The protocol of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    /// HTTP/1.0.
    One0,
    /// HTTP/1.1.
    One1,
    /// HTTP/2.
    Two,
}

/// The head of a request.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) target: Target,
    pub(crate) version: Version,
    /// Without `Host`.
    pub(crate) headers: HeaderMap,
    /// Fields beside `headers` that nobody on the way looks at, as lines for the pod; none: all are there (`wire::plain`).
    pub(crate) rest: Option<BytesMut>,
    pub(crate) host: Box<str>,
    /// How the body is delimited.
    pub(crate) body: BodySize,
    pub(crate) peer: Peer,
    /// The client waits for 100 (Continue) before it sends the body.
    pub(crate) expects_continue: bool,
    /// The client ends the connection after this request.
    pub(crate) close: bool,
}

/// Who asked; the same for all requests of a connection.
#[derive(Debug, Clone)]
pub(crate) struct Peer(Arc<Who>);

#[derive(Debug)]
pub(crate) struct Who {
    pub(crate) address: SocketAddr,
    /// The address without the port, as headers say it.
    pub(crate) text: HeaderValue,
    /// What a gateway tells the pod of a client that says nothing itself of how it came: lines of a head.
    pub(crate) came: OnceLock<Box<[u8]>>,
}

impl Peer {
    pub(crate) fn new(address: SocketAddr) -> Self {
        let text = HeaderValue::try_from(address.ip().to_canonical().to_string());
        // An address is visible ASCII.
        let text = text.unwrap_or(HeaderValue::from_static(""));
        let came = OnceLock::new();
        Self(Arc::new(Who { address, text, came }))
    }
}

impl Deref for Peer {
    type Target = Who;

    fn deref(&self) -> &Who {
        &self.0
    }
}

/// How long a body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodySize {
    /// There is none.
    None,
    /// So many bytes.
    Known(u64),
    /// As long as it takes.
    Open,
}

impl Request {
    /// A header's value as text, empty if it is not there.
    pub(crate) fn text(&self, name: &HeaderName) -> &str {
        text(&self.headers, name)
    }

    /// The protocol that `Upgrade` asks for, if `Connection` says so too.
    pub(crate) fn upgrade(&self) -> Option<&HeaderValue> {
        upgrade(&self.headers)
    }

    /// Whether sending it twice does no harm (RFC 9110 9.2.1), or its sender says that it does none: then its body is empty too.
    pub(crate) fn may_repeat(&self) -> bool {
        let is_empty = matches!(self.body, BodySize::None | BodySize::Known(0));
        let has_key = || {
            [name::IDEMPOTENCY_KEY, name::X_IDEMPOTENCY_KEY]
                .iter()
                .any(|key| self.headers.contains_key(key))
        };
        is_empty && (self.method.is_safe() || has_key())
    }

    pub(crate) fn is_connect(&self) -> bool {
        self.method == Method::CONNECT
    }
}

/// A header's value as text, empty if it is not there.
pub(crate) fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> &'a str {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

/// The protocol that these headers want to go on with.
pub(crate) fn upgrade(headers: &HeaderMap) -> Option<&HeaderValue> {
    let upgrade = lists(headers, &header::CONNECTION, "upgrade").then(|| headers.get(header::UPGRADE))?;
    upgrade.filter(|protocol| !protocol.is_empty())
}

/// Whether a header of comma-separated words names this one.
pub(crate) fn lists(headers: &HeaderMap, name: &HeaderName, word: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .any(|value| words(value).any(|other| other.eq_ignore_ascii_case(word.as_bytes())))
}

/// Takes away what is no trailer: framing and routing (RFC 9110 6.5.1), and what is for one connection only.
pub(crate) fn prune_trailers(trailers: &mut HeaderMap) {
    for name in [
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
        header::HOST,
        header::TRAILER,
        header::CONNECTION,
        name::PROXY_CONNECTION,
        name::KEEP_ALIVE,
        header::TE,
        header::UPGRADE,
    ] {
        trailers.remove(name);
    }
}

/// The words of a comma-separated value.
pub(crate) fn words(value: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    value
        .as_bytes()
        .split(|byte| *byte == b',')
        .map(<[u8]>::trim_ascii)
        .filter(|word| !word.is_empty())
}

/// The head of a response.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: BodySize,
}

/// A whole answer of our own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) body: Bytes,
    /// A client that can read it without is not told its length.
    pub(crate) is_open: bool,
}

impl Answer {
    /// Without a body.
    pub(crate) fn empty(status: StatusCode) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Bytes::new(),
            is_open: false,
        }
    }

    /// A body of that media type.
    pub(crate) fn body(media_type: &'static str, body: impl Into<Bytes>) -> Self {
        Self {
            body: body.into(),
            ..Self::empty(StatusCode::OK).with(header::CONTENT_TYPE, HeaderValue::from_static(media_type))
        }
    }

    /// A text that is the answer.
    pub(crate) fn text(status: StatusCode, body: impl Into<String>) -> Self {
        Self {
            status,
            ..Self::body("text/plain; charset=utf-8", body.into())
        }
    }

    /// A text that says what is wrong, as Go's `http.Error` writes it.
    pub(crate) fn error(status: StatusCode, message: impl std::fmt::Display) -> Self {
        Self::text(status, format!("{message}\n"))
            .with(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"))
    }

    /// With one more header.
    pub(crate) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Its head.
    pub(crate) fn head(&self) -> Response {
        Response {
            status: self.status,
            headers: self.headers.iter().cloned().collect(),
            body: BodySize::Known(self.body.len() as u64),
        }
    }
}
