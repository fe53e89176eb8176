// SPDX-License-Identifier: Apache-2.0
//! What the sample server answers.
//!
//! Invariants: a request's body is read to its end before the answer, except where it is the answer.
//! Depends on: body, echo, health, work, life.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::{
    Request, Response, StatusCode,
    body::Incoming,
    header::{ALLOW, CONTENT_TYPE, HeaderValue},
};
use life::Tasks;
use tokio::{
    sync::Notify,
    time::{interval, sleep},
};

use super::{
    body::{Answer, LINES},
    echo, health,
    work::Work,
};

const LONGEST_SLEEP: u64 = 3_600_000;
const MOST_BYTES: u64 = 1 << 40;
const BETWEEN_LINES: Duration = Duration::from_millis(100);

/// What requests share.
#[derive(Debug)]
pub(crate) struct Site {
    greeting: Bytes,
    is_ill: AtomicBool,
    has_crashed: AtomicBool,
    crash: Notify,
    tasks: Tasks,
}

impl Site {
    pub(crate) fn new(target: Option<String>) -> Self {
        let greeting = target.map_or_else(|| "hello\n".to_owned(), |target| format!("hello {target}\n"));
        Self {
            greeting: greeting.into(),
            is_ill: AtomicBool::new(false),
            has_crashed: AtomicBool::new(false),
            crash: Notify::new(),
            tasks: Tasks::new(),
        }
    }

    /// Returns when a request asked for the end.
    pub(crate) async fn crashed(&self) {
        self.crash.notified().await;
    }

    pub(crate) fn has_crashed(&self) -> bool {
        self.has_crashed.load(Ordering::Relaxed)
    }

    /// Asks open WebSockets to end.
    pub(crate) fn drain(&self) {
        self.tasks.drain();
    }

    /// Returns when they have.
    pub(crate) async fn gone(&self) {
        self.tasks.gone().await;
    }

    fn hello(&self) -> Response<Answer> {
        text(StatusCode::OK, self.greeting.clone())
    }

    fn health(&self) -> Response<Answer> {
        match self.is_ill.load(Ordering::Relaxed) {
            true => text(StatusCode::SERVICE_UNAVAILABLE, "unwell\n"),
            false => text(StatusCode::OK, "well\n"),
        }
    }

    fn set_ill(&self, is_ill: bool) -> Response<Answer> {
        self.is_ill.store(is_ill, Ordering::Relaxed);
        text(StatusCode::OK, "as asked\n")
    }
}

/// Answers one request.
pub(crate) async fn answer(
    site: Arc<Site>,
    peer: SocketAddr,
    mut request: Request<Incoming>,
) -> Result<Response<Answer>, Infallible> {
    if echo::is_asked(&request) {
        return Ok(echo::accept(request, &site.tasks));
    }
    if request.uri().path() == "/echo" {
        return Ok(Response::new(Answer::Echo(request.into_body())));
    }
    if health::is_asked(&request) {
        return Ok(health::answer(request, site.is_ill.load(Ordering::Relaxed)).await);
    }
    // A body that breaks off: so does the connection, and nobody reads the answer.
    while let Some(Ok(_)) = request.body_mut().frame().await {}
    if request.uri().path() == "/peer" {
        return Ok(text(StatusCode::OK, format!("{}\n", peer.ip().to_canonical())));
    }
    Ok(of_path(&site, request.uri().path(), request.uri().query().unwrap_or_default()).await)
}

async fn of_path(site: &Site, path: &str, query: &str) -> Response<Answer> {
    let mut parts = path.trim_start_matches('/').splitn(2, '/');
    let (name, argument) = (parts.next().unwrap_or_default(), parts.next());
    let number = argument.and_then(|digits| digits.parse::<u64>().ok());
    match (name, argument, number) {
        ("" | "hello", None, _) => working(site, query).await,
        ("sleep", _, Some(time)) if time <= LONGEST_SLEEP => {
            sleep(Duration::from_millis(time)).await;
            site.hello()
        }
        ("bytes", _, Some(count)) if count <= MOST_BYTES => Response::new(Answer::Block(count)),
        ("status", _, Some(code)) => status(code),
        ("stream", None, _) => Response::new(Answer::Lines(LINES, interval(BETWEEN_LINES), false)),
        ("events", None, _) => events(),
        ("sleep" | "bytes", _, _) => text(StatusCode::BAD_REQUEST, "a number is needed, and not too large a one\n"),
        _ => of_health(site, path),
    }
}

fn of_health(site: &Site, path: &str) -> Response<Answer> {
    match path {
        "/health" => site.health(),
        "/health/fail" => site.set_ill(true),
        "/health/mend" => site.set_ill(false),
        "/crash" => {
            site.has_crashed.store(true, Ordering::Relaxed);
            site.crash.notify_one();
            text(StatusCode::OK, "as asked\n")
        }
        _ => text(StatusCode::NOT_FOUND, "`sluice sample --help` has the paths\n"),
    }
}

async fn working(site: &Site, query: &str) -> Response<Answer> {
    let work = match Work::of(query) {
        Ok(work) if work.is_none() => return site.hello(),
        Ok(work) => work,
        Err(message) => return text(StatusCode::BAD_REQUEST, message),
    };
    match work.perform().await {
        Some(done) if done.is_empty() => site.hello(),
        Some(done) => text(StatusCode::OK, done),
        None => text(StatusCode::INTERNAL_SERVER_ERROR, "failed, as asked\n"),
    }
}

fn events() -> Response<Answer> {
    let mut response = Response::new(Answer::Lines(LINES, interval(BETWEEN_LINES), true));
    let kind = HeaderValue::from_static("text/event-stream");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
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

fn text(status: StatusCode, text: impl Into<Bytes>) -> Response<Answer> {
    let text = text.into();
    let body = (!text.is_empty()).then_some(text);
    let mut response = Response::new(Answer::Text(body));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn of(path: &str) -> (u16, Bytes) {
        let site = Site::new(None);
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let response = of_path(&site, path, query).await;
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
        assert_eq!(of("/").await, (200, Bytes::from("hello\n")));
        assert_eq!(of("/?fail=100").await.0, 500);
        assert_eq!(of("/health").await.0, 200);
        let (_, events) = of("/events").await;
        assert!(events.starts_with(b"data: line 1\n\n"));
        let (_, stream) = of("/stream").await;
        assert_eq!(stream.iter().filter(|byte| **byte == b'\n').count(), 10);
    }

    #[tokio::test]
    async fn nonsense_is_refused() {
        for (path, status) in [
            ("/nothing", 404),
            ("/?sleep=x", 400),
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
