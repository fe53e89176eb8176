// SPDX-License-Identifier: Apache-2.0
//! What a pod's containers wrote: `GET …/pods/NAME/log`.
//!
//! Depends on: logs, body, query.

use bytes::Bytes;
use http::Response;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc;

use super::body::{self, Body, Lines, Next};
use super::query::Query;
use crate::logs::{Logs, Wanted};
use crate::refusal::Refusal;

struct Pieces {
    pieces: mpsc::Receiver<Bytes>,
}

impl Lines for Pieces {
    fn next(mut self) -> Next<Self> {
        Box::pin(async move {
            let piece = self.pieces.recv().await?;
            Some((piece, self))
        })
    }
}

/// Answers with the wanted part of a log.
pub(super) fn answer(
    logs: &dyn Logs,
    namespace: &str,
    pod: &str,
    query: &Query,
    now: Timestamp,
) -> Result<Response<Body>, Refusal> {
    let pieces = logs.read(namespace, pod, &wanted(query, now)?)?;
    Ok(body::text_stream(Pieces { pieces }))
}

fn wanted(query: &Query, now: Timestamp) -> Result<Wanted, Refusal> {
    let count = |name: &str| match query.get(name) {
        "" => Ok(None),
        text => text.parse::<u32>().map(Some).map_err(|_| unreadable(name, text)),
    };
    let seconds = count("sinceSeconds")?;
    let since = match query.get("sinceTime") {
        "" => seconds.and_then(|seconds| now.checked_sub(SignedDuration::from_secs(seconds.into())).ok()),
        text => Some(text.parse().map_err(|_| unreadable("sinceTime", text))?),
    };
    let size = |count: Option<u32>| count.and_then(|count| usize::try_from(count).ok());
    Ok(Wanted {
        container: Some(query.get("container").to_owned()).filter(|name| !name.is_empty()),
        follow: query.is("follow"),
        previous: query.is("previous"),
        timestamps: query.is("timestamps"),
        since,
        tail_lines: size(count("tailLines")?),
        limit_bytes: size(count("limitBytes")?),
    })
}

fn unreadable(name: &str, text: &str) -> Refusal {
    Refusal::bad_request(format!(
        "PodLogOptions \"\" is invalid: {name}: Invalid value: {text:?}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_says_which_part() {
        let now: Timestamp = "2026-01-01T00:01:00Z".parse().unwrap();
        let query = Query::read(
            "follow=true&tailLines=5&sinceSeconds=60&container=c&limitBytes=9&timestamps=true&previous=false",
        );
        let expected = Wanted {
            container: Some("c".to_owned()),
            follow: true,
            previous: false,
            timestamps: true,
            since: Some("2026-01-01T00:00:00Z".parse().unwrap()),
            tail_lines: Some(5),
            limit_bytes: Some(9),
        };
        assert_eq!(wanted(&query, now).unwrap(), expected);
        assert_eq!(wanted(&Query::read(""), now).unwrap(), Wanted::default());
        for wrong in ["tailLines=-1", "limitBytes=x", "sinceTime=yesterday"] {
            assert_eq!(wanted(&Query::read(wrong), now).unwrap_err().code(), 400, "{wrong}");
        }
    }
}
