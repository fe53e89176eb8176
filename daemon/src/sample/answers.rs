// SPDX-License-Identifier: Apache-2.0
//! What the sample server answers.
//!
//! Invariants: no answer is held in memory as a whole, however long; a request's body is read to its end first.
//! Depends on: hyper.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::{
    Request, Response, StatusCode,
    body::{Body, Frame, Incoming, SizeHint},
    header::{ALLOW, CONTENT_TYPE, HeaderValue},
};
use tokio::time::{Interval, interval, sleep};

static BLOCK: [u8; 16 * 1024] = [b'x'; 16 * 1024];
const LONGEST_SLEEP: u64 = 3_600_000;
const MOST_BYTES: u64 = 1 << 40;
const LINES: u32 = 10;
const BETWEEN_LINES: Duration = Duration::from_millis(100);

/// An answer's body.
#[derive(Debug)]
pub(crate) enum Answer {
    Text(Option<Bytes>),
    Block(u64),
    Lines(u32, Interval),
}

/// Answers one request.
pub(crate) async fn answer(mut request: Request<Incoming>) -> Result<Response<Answer>, Infallible> {
    // A body that breaks off: so does the connection, and nobody reads the answer.
    while let Some(Ok(_)) = request.body_mut().frame().await {}
    Ok(of_path(request.uri().path()).await)
}

async fn of_path(path: &str) -> Response<Answer> {
    let mut parts = path.trim_start_matches('/').splitn(2, '/');
    let (name, argument) = (parts.next().unwrap_or_default(), parts.next());
    let number = argument.and_then(|digits| digits.parse::<u64>().ok());
    match (name, argument, number) {
        ("hello", None, _) => text(StatusCode::OK, "hello\n"),
        ("sleep", _, Some(time)) if time <= LONGEST_SLEEP => {
            sleep(Duration::from_millis(time)).await;
            text(StatusCode::OK, "hello\n")
        }
        ("bytes", _, Some(count)) if count <= MOST_BYTES => Response::new(Answer::Block(count)),
        ("status", _, Some(code)) => status(code),
        ("stream", None, _) => Response::new(Answer::Lines(LINES, interval(BETWEEN_LINES))),
        ("sleep" | "bytes", _, _) => text(StatusCode::BAD_REQUEST, "a number is needed, and not too large a one\n"),
        _ => text(
            StatusCode::NOT_FOUND,
            "there are /hello /sleep/MS /bytes/N /status/N /stream\n",
        ),
    }
}

/// 200…599: what is below is not a final answer.
fn status(code: u64) -> Response<Answer> {
    let code = u16::try_from(code).ok().filter(|code| (200..600).contains(code));
    let Some(status) = code.and_then(|code| StatusCode::from_u16(code).ok()) else {
        return text(StatusCode::BAD_REQUEST, "a status from 200 to 599 is needed\n");
    };
    let has_body = !matches!(
        status,
        StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED
    );
    let mut response = text(status, if has_body { "as asked\n" } else { "" });
    if status == StatusCode::METHOD_NOT_ALLOWED {
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET"));
    }
    response
}

fn text(status: StatusCode, text: &'static str) -> Response<Answer> {
    let body = (!text.is_empty()).then(|| Bytes::from_static(text.as_bytes()));
    let mut response = Response::new(Answer::Text(body));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let data = match self.get_mut() {
            Self::Text(text) => text.take(),
            Self::Block(left) => block(left),
            Self::Lines(0, _) => None,
            Self::Lines(left, ticks) => {
                std::task::ready!(ticks.poll_tick(context));
                *left -= 1;
                Some(Bytes::from(format!("line {}\n", LINES - *left)))
            }
        };
        Poll::Ready(data.map(|data| Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Text(None) | Self::Block(0) | Self::Lines(0, _))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Text(text) => SizeHint::with_exact(text.as_ref().map_or(0, Bytes::len) as u64),
            Self::Block(left) => SizeHint::with_exact(*left),
            Self::Lines(..) => SizeHint::default(),
        }
    }
}

fn block(left: &mut u64) -> Option<Bytes> {
    let length = (*left).min(BLOCK.len() as u64);
    *left -= length;
    (length > 0).then(|| Bytes::from_static(&BLOCK[..length as usize]))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn of(path: &str) -> (u16, Bytes) {
        let response = of_path(path).await;
        let status = response.status().as_u16();
        (status, response.into_body().collect().await.unwrap().to_bytes())
    }

    #[tokio::test(start_paused = true)]
    async fn each_path_answers_as_its_help_says() {
        assert_eq!(of("/hello").await, (200, Bytes::from("hello\n")));
        assert_eq!(of("/sleep/60000").await.0, 200);
        let (status, body) = of("/bytes/100000").await;
        assert_eq!((status, body.len()), (200, 100_000));
        assert_eq!(of("/status/503").await.0, 503);
        assert_eq!(of("/status/204").await, (204, Bytes::new()));
        let (_, stream) = of("/stream").await;
        assert_eq!(stream.iter().filter(|byte| **byte == b'\n').count(), 10);
    }

    #[tokio::test]
    async fn nonsense_is_refused() {
        for (path, status) in [
            ("/", 404),
            ("/status/99", 400),
            ("/status/100", 400),
            ("/bytes/-1", 400),
            ("/sleep/x", 400),
            ("/bytes/99999999999999", 400),
        ] {
            assert_eq!(of(path).await.0, status, "{path}");
        }
    }
}
