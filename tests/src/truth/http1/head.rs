// SPDX-License-Identifier: Apache-2.0
//! A request's head, as `httparse` reads it.

use httparse::Status;

/// What the server wants to know of a head.
#[derive(Clone, Debug, Default)]
pub(super) struct Head {
    pub(super) method: String,
    pub(super) target: String,
    headers: Vec<(String, String)>,
}

/// How long the body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Length {
    Known(u64),
    Chunked,
}

/// `Ok(None)`: more bytes are needed; `Err`: a status to refuse with.
pub(super) fn parse(bytes: &[u8]) -> Result<Option<(Head, usize)>, u16> {
    let mut slots = [httparse::EMPTY_HEADER; 256];
    let mut request = httparse::Request::new(&mut slots);
    match request.parse(bytes) {
        Ok(Status::Partial) => Ok(None),
        Ok(Status::Complete(size)) => {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let headers = request
                .headers
                .iter()
                .map(|header| (header.name.to_owned(), text(header.value)));
            let head = Head {
                method: request.method.unwrap_or_default().to_owned(),
                target: request.path.unwrap_or_default().to_owned(),
                headers: headers.collect(),
            };
            Ok(Some((head, size)))
        }
        Err(_) => Err(400),
    }
}

impl Head {
    pub(super) fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let same = move |header: &&(String, String)| header.0.eq_ignore_ascii_case(name);
        self.headers.iter().filter(same).map(|header| header.1.trim())
    }

    pub(super) fn number(&self, name: &str) -> Option<usize> {
        self.values(name).next().and_then(|value| value.parse().ok())
    }

    pub(super) fn says(&self, name: &str, word: &str) -> bool {
        self.values(name)
            .any(|value| value.split(',').any(|part| part.trim().eq_ignore_ascii_case(word)))
    }

    /// RFC 9112 6.3; shapes that smuggling needs are refused.
    pub(super) fn length(&self) -> Result<Length, u16> {
        let lengths: Vec<_> = self.values("content-length").collect();
        let chunked = self.values("transfer-encoding").last();
        match (chunked, lengths.as_slice()) {
            (None, []) => Ok(Length::Known(0)),
            (None, [first, rest @ ..]) if rest.iter().all(|other| other == first) => {
                let digits = !first.is_empty() && first.bytes().all(|byte| byte.is_ascii_digit());
                digits
                    .then(|| first.parse().ok())
                    .flatten()
                    .map(Length::Known)
                    .ok_or(400)
            }
            (Some(coding), []) if coding.eq_ignore_ascii_case("chunked") => Ok(Length::Chunked),
            _ => Err(400),
        }
    }

    /// The target's parts: `/sleep/50` is `["sleep", "50"]`.
    pub(super) fn parts(&self) -> Vec<&str> {
        self.target.trim_start_matches('/').split('/').collect()
    }
}
