// SPDX-License-Identifier: Apache-2.0
//! What daemons say to each other: the headers of an ask and of its answer, and the lines of a control stream.
//!
//! Invariants: a line that is none of these ends the stream; none is longer than `LONGEST`.
//! Depends on: http.

use http::HeaderName;
use std::fmt;

/// Who asks.
pub(crate) const NODE: HeaderName = HeaderName::from_static("sluice-node");
/// The number that its control stream was begun with.
pub(crate) const SESSION: HeaderName = HeaderName::from_static("sluice-session");
/// Whether this is the control stream.
pub(crate) const CONTROL: HeaderName = HeaderName::from_static("sluice-control");
/// For which revision.
pub(crate) const NAMESPACE: HeaderName = HeaderName::from_static("sluice-namespace");
/// The same.
pub(crate) const REVISION: HeaderName = HeaderName::from_static("sluice-revision");
/// For a slot of which pod: it is the asked daemon's own.
pub(crate) const POD: HeaderName = HeaderName::from_static("sluice-pod");
/// The offer that is taken up.
pub(crate) const OFFER: HeaderName = HeaderName::from_static("sluice-offer");
/// The connection must not have been used before.
pub(crate) const FRESH: HeaderName = HeaderName::from_static("sluice-fresh");
/// There are other pods, so a dial that times out is not tried again.
pub(crate) const ELSEWHERE: HeaderName = HeaderName::from_static("sluice-elsewhere");
/// One of `answer`.
pub(crate) const ANSWER: HeaderName = HeaderName::from_static("sluice-answer");
/// The number of a refusal.
pub(crate) const NUMBER: HeaderName = HeaderName::from_static("sluice-number");
/// Why a pod could not be reached.
pub(crate) const FAULT: HeaderName = HeaderName::from_static("sluice-fault");

/// What a node answers to an ask.
pub(crate) mod answer {
    /// What follows are the bytes of a new connection to the pod.
    pub(crate) const GRANTED: &str = "granted";
    /// The same, of one that was used before.
    pub(crate) const REUSED: &str = "reused";
    /// No slot is free; `NUMBER` says which refusal this is.
    pub(crate) const BUSY: &str = "busy";
    /// The slot was free, the pod refused the connection.
    pub(crate) const REFUSED: &str = "refused";
    /// The slot was free, the pod did not answer.
    pub(crate) const TIMED_OUT: &str = "timed-out";
    /// The session is over, the revision is not known, or this node has nothing to connect to the pod with.
    pub(crate) const UNKNOWN: &str = "unknown";
    /// The control stream is open.
    pub(crate) const WELCOME: &str = "welcome";
}

/// Bytes of a line.
pub(crate) const LONGEST: usize = 1024;

/// A line of a control stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Word {
    /// Still there.
    Beat,
    /// Namespace, revision, pod, number: a slot is kept.
    Offer(String, String, String, u64),
    /// Namespace, revision, number: the slot that was kept is not wanted.
    Decline(String, String, u64),
}

impl fmt::Display for Word {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Beat => writeln!(to, "."),
            Self::Offer(namespace, revision, pod, number) => {
                writeln!(to, "offer {namespace} {revision} {pod} {number}")
            }
            Self::Decline(namespace, revision, number) => writeln!(to, "decline {namespace} {revision} {number}"),
        }
    }
}

impl Word {
    /// Reads a line, without its end.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let parts: Vec<&str> = line.split(' ').collect();
        match parts.as_slice() {
            ["."] => Some(Self::Beat),
            ["offer", namespace, revision, pod, number] => Some(Self::Offer(
                (*namespace).to_owned(),
                (*revision).to_owned(),
                (*pod).to_owned(),
                number.parse().ok()?,
            )),
            ["decline", namespace, revision, number] => Some(Self::Decline(
                (*namespace).to_owned(),
                (*revision).to_owned(),
                number.parse().ok()?,
            )),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let names = || ("a".to_owned(), "b-1".to_owned());
        let ((n, r), (m, q)) = (names(), names());
        for word in [
            Word::Beat,
            Word::Offer(n, r, "[::1]:80".to_owned(), 7),
            Word::Decline(m, q, u64::MAX),
        ] {
            let line = word.to_string();
            assert_eq!(line.strip_suffix('\n').and_then(Word::parse), Some(word));
        }
    }

    #[test]
    fn what_is_no_word_is_refused() {
        for line in [
            "",
            "offer a b c",
            "offer a b c -1",
            "decline a b",
            "decline a b 1 2",
            "hello",
        ] {
            assert_eq!(Word::parse(line), None, "{line}");
        }
    }
}
