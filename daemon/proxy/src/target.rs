// SPDX-License-Identifier: Apache-2.0
//! Request targets: what a client may ask for, and how it reads to the pod.
//!
//! Problem: the pod must see the path as the client meant it, and never bytes that two parsers read differently.
//! Mechanism: Go's rules, since applications behind Knative have always seen its output: a valid escaped path goes on as it
//! is, any other is unescaped and escaped anew; the query is not touched; an absolute target names the host.
//! Invariants: a target never contains a space or a control byte.
//! Depends on: logic::traffic (host), http.

use http::{StatusCode, Uri};
pub(crate) use logic::traffic::host::is_host;
use memchr::memchr;
use std::borrow::Cow;

/// Path and query of a URI are at most as long as the `http` crate keeps them.
const LONGEST: usize = 65_534;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    /// Path and query as they go to the pod; for CONNECT the authority.
    pub(crate) text: Box<str>,
    /// As the client sent it, where that is something else: for whoever reads logs, so bytes that are no text are lost.
    raw: Option<Box<str>>,
    /// The authority of an absolute target, which stands over `Host` (RFC 9112 3.2.2).
    pub(crate) authority: Option<Box<str>>,
}

impl Target {
    /// Reads the target of a request line; `None` if it is none.
    pub(crate) fn parse(bytes: &[u8], is_connect: bool) -> Option<Self> {
        if bytes.is_empty() || bytes.iter().any(|byte| *byte <= b' ' || *byte == 0x7f) {
            return None;
        }
        if let Some(simple) = Self::simple(bytes) {
            return Some(simple);
        }
        // Bytes above 0x7f are kept one by one: in a path they are escaped, in a query they pass.
        let raw: String = bytes.iter().map(|byte| char::from(*byte)).collect();
        if is_connect && !raw.starts_with('/') {
            return is_authority(&raw).then(|| Self {
                authority: Some(raw.clone().into()),
                text: raw.into(),
                raw: None,
            });
        }
        if raw == "*" {
            return Some(Self {
                text: raw.into(),
                raw: None,
                authority: None,
            });
        }
        let (authority, rest) = if raw.starts_with('/') {
            (None, raw.as_str())
        } else {
            let (scheme, rest) = raw.split_once("://")?;
            if !is_scheme(scheme) {
                return None;
            }
            let end = rest.find(['/', '?']).unwrap_or(rest.len());
            let (authority, path) = rest.split_at_checked(end)?;
            // User and password are not for the host.
            let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
            // Without one, `Host` says it.
            ((!host.is_empty()).then_some(host), path)
        };
        if authority.is_some_and(|host| !is_authority(host)) {
            return None;
        }
        let text = normal(rest)?.into();
        Some(Self {
            text,
            authority: authority.map(Into::into),
            raw: Some(String::from_utf8_lossy(bytes).into()),
        })
    }

    /// One that starts with a path and goes on as it is; `None`: it needs a closer look (`parse`).
    pub(crate) fn simple(bytes: &[u8]) -> Option<Self> {
        let text = is_simple(bytes).then_some(bytes)?;
        Some(Self {
            text: std::str::from_utf8(text).ok()?.into(),
            raw: None,
            authority: None,
        })
    }

    /// As the client sent it.
    pub(crate) fn raw(&self) -> &str {
        self.raw.as_ref().unwrap_or(&self.text)
    }

    /// Path and query where they must be part of a URI: what may not stand there (RFC 3986 3.4) is escaped.
    pub(crate) fn escaped(&self) -> Cow<'_, str> {
        if self.text.bytes().all(may_stand) {
            return Cow::Borrowed(&self.text);
        }
        let mut out = String::with_capacity(self.text.len() + 32);
        for char in self.text.chars() {
            match u8::try_from(u32::from(char)) {
                // Characters of a target are bytes (`parse`).
                Ok(byte) if !may_stand(byte) => escape(byte, &mut out),
                _ => out.push(char),
            }
        }
        Cow::Owned(out)
    }

    /// As the URI that HTTP/2 makes of it.
    ///
    /// # Errors
    /// It makes none.
    pub(crate) fn uri(&self, host: &str) -> Result<Uri, NoUri> {
        let path = self.escaped();
        if path.len() > LONGEST {
            return Err(NoUri::TooLong);
        }
        let uri = Uri::builder().scheme("http").authority(host);
        uri.path_and_query(&*path).build().map_err(|_| NoUri::Malformed)
    }

    /// The path as it is meant, and as it came where that cannot be told from the former (Go's `Path` and `RawPath`).
    pub(crate) fn paths(path: &str) -> (String, String) {
        let Some(plain) = unescaped(path) else {
            return (path.to_owned(), String::new());
        };
        let raw = if escaped(&plain) == path { "" } else { path };
        (String::from_utf8_lossy(&plain).into_owned(), raw.to_owned())
    }

    /// The path without the query.
    pub(crate) fn path(&self) -> &str {
        self.text.split_once('?').map_or(&*self.text, |(path, _)| path)
    }
}

/// Why a request is for no pod of HTTP/2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoUri {
    #[error("request target above {LONGEST} bytes, for an application of HTTP/2")]
    TooLong,
    #[error("Host and request target make no URI, for an application of HTTP/2")]
    Malformed,
}

impl NoUri {
    /// What a client is answered with.
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::TooLong => StatusCode::URI_TOO_LONG,
            Self::Malformed => StatusCode::BAD_REQUEST,
        }
    }
}

/// Whether it starts with a path and goes on to the pod as it is, without a closer look.
fn is_simple(bytes: &[u8]) -> bool {
    let (path, query) = bytes.split_at(memchr(b'?', bytes).unwrap_or(bytes.len()));
    path.first() == Some(&b'/') && path.iter().all(|byte| is_plain(*byte)) && query.iter().all(u8::is_ascii_graphic)
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

fn is_authority(text: &str) -> bool {
    is_host(text.as_bytes())
}

/// Path and query as the pod gets them; `None` for a broken escape in the path.
fn normal(text: &str) -> Option<String> {
    let (path, query) = match text.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (text, None),
    };
    let plain = unescaped(path)?;
    let mut out = match path {
        "" => "/".to_owned(),
        _ if is_escaped(path) => path.to_owned(),
        _ => escaped(&plain),
    };
    if let Some(query) = query {
        out.push('?');
        out.push_str(query);
    }
    Some(out)
}

/// The bytes that a text with escapes means; `None` if it is none.
pub(crate) fn unescaped(path: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(path.len());
    let mut chars = path.chars();
    while let Some(char) = chars.next() {
        let byte = if char == '%' {
            let high = chars.next()?.to_digit(16)?;
            let low = chars.next()?.to_digit(16)?;
            u8::try_from(high * 16 + low).ok()?
        } else {
            u8::try_from(u32::from(char)).ok()?
        };
        out.push(byte);
    }
    Some(out)
}

/// Whether every byte may stand in a path as it is.
fn is_escaped(path: &str) -> bool {
    path.bytes().all(|byte| is_plain(byte) || b"!'()*[]%".contains(&byte))
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.~$&+,/:;=@".contains(&byte)
}

/// Whether a byte may stand in a URI's query; those of a path may, or are escaped already.
fn may_stand(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"\"#<>".contains(&byte)
}

fn escape(byte: u8, out: &mut String) {
    const DIGITS: [char; 16] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F',
    ];
    let digit = |value: u8| DIGITS.get(usize::from(value)).copied().unwrap_or('0');
    out.extend(['%', digit(byte >> 4), digit(byte & 15)]);
}

/// With everything escaped that is no visible ASCII.
pub(crate) fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte.is_ascii_graphic() {
            true => out.push(char::from(byte)),
            false => escape(byte, &mut out),
        }
    }
    out
}

fn escaped(path: &[u8]) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path {
        if is_plain(*byte) {
            out.push(char::from(*byte));
        } else {
            escape(*byte, &mut out);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod_sees(target: &str) -> Option<String> {
        Target::parse(target.as_bytes(), false).map(|target| target.text.into())
    }

    #[test]
    fn a_valid_path_is_not_touched() {
        for target in [
            "/a%2Fb",
            "//double//slash",
            "/a/../b",
            "/%41%7e~",
            "/?",
            "/?a=%zz",
            "/a;b=c,d!(x)",
        ] {
            assert_eq!(pod_sees(target).as_deref(), Some(target));
        }
    }

    #[test]
    fn what_may_not_stand_in_a_path_is_escaped() {
        assert_eq!(pod_sees("/a\"<>^`{|}b").as_deref(), Some("/a%22%3C%3E%5E%60%7B%7C%7Db"));
        assert_eq!(pod_sees("/a#b").as_deref(), Some("/a%23b"));
        let bytes = Target::parse(b"/caf\xc3\xa9", false).unwrap();
        assert_eq!((&*bytes.text, bytes.raw()), ("/caf%C3%A9", "/caf\u{e9}"));
        let no_text = Target::parse(b"/\xff?\xe9", false).unwrap();
        assert_eq!(no_text.raw(), "/\u{fffd}?\u{fffd}");
    }

    #[test]
    fn a_path_that_means_one_thing_is_told_once() {
        let paths = |path| Target::paths(path);
        assert_eq!(paths("/a%20b"), ("/a b".to_owned(), String::new()));
        assert_eq!(paths("/a%2Fb"), ("/a/b".to_owned(), "/a%2Fb".to_owned()));
        assert_eq!(paths("*"), ("*".to_owned(), "*".to_owned()));
    }

    #[test]
    fn an_absolute_target_names_the_host() {
        let target = Target::parse(b"http://u:p@other.example.com:8?x", false).unwrap();
        assert_eq!(target.authority.as_deref(), Some("other.example.com:8"));
        assert_eq!(&*target.text, "/?x");
    }

    #[test]
    fn what_is_no_target_is_refused() {
        for target in ["", "foo", "/a b", "/%zz", "/%4", "1x://h/", "http://a b/"] {
            assert_eq!(pod_sees(target), None, "{target}");
        }
    }
}
