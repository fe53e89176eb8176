// SPDX-License-Identifier: Apache-2.0
//! The request log: one line a request, by a template (data-plane spec 4.10).
//!
//! Mechanism: what the template can see of the request is put aside before the request is changed, only if there is a log.
//! Invariants: a template that cannot be rendered still leaves a line.
//! Depends on: message, progress, revision, logic::settings::template.

use crate::message::{BodySize, Request, Version, text};
use crate::progress::Progress;
use crate::revision::{Identity, Revision};
use http::{HeaderMap, HeaderName, header};
use logic::settings::template::{Record, Template, Value, canonical};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Logged for a request whose client did not wait for an answer, as nginx does.
const CLIENT_GONE: u16 = 499;

/// Takes finished lines, without their line end; must not block.
pub type Sink = Arc<dyn Fn(String) + Send + Sync>;

/// Where and how requests are logged.
pub struct RequestLog {
    /// Of a line.
    pub template: Template,
    /// Whether probes are logged.
    pub probes: bool,
    /// Name and address of the pod, if this stands before one.
    pub pod: (String, String),
    /// Whether the trace identifier is logged.
    pub traces: bool,
    /// Where lines go.
    pub sink: Sink,
}

/// A line in the making.
pub(crate) struct Line<'a> {
    log: &'a RequestLog,
    identity: Identity,
    method: String,
    host: String,
    uri: String,
    version: Version,
    body: BodySize,
    peer: String,
    close: bool,
    headers: HeaderMap,
}

impl<'a> Line<'a> {
    /// Puts aside what the template may want.
    pub(crate) fn begin(log: Option<&'a RequestLog>, request: &Request, revision: Option<&Revision>) -> Option<Self> {
        let log = log?;
        Some(Self {
            log,
            identity: revision.map(|revision| revision.identity.clone()).unwrap_or_default(),
            method: request.method.to_string(),
            host: request.host.to_string(),
            uri: request.target.raw().to_owned(),
            version: request.version,
            body: request.body,
            peer: request.peer.to_string(),
            close: request.close,
            headers: request.headers.clone(),
        })
    }

    /// Writes it.
    pub(crate) fn end(line: Option<Self>, progress: &Progress) {
        let Some(line) = line else {
            return;
        };
        let latency = progress.begun.elapsed().as_secs_f64();
        let status = match progress.status() {
            0 => CLIENT_GONE,
            status => status,
        };
        let size = progress.bytes();
        let mut text = line
            .log
            .template
            .render(&line.value(status, size, latency))
            .unwrap_or_else(|_| {
                format!(
                    "Invalid request log template: method: {}, response code: {status}, latency: {latency:?}, url: {}",
                    line.method, line.uri
                )
            });
        if text.ends_with('\n') {
            text.pop();
        }
        // A template without text is how the log is turned off.
        if !line.log.template.text().is_empty() {
            (line.log.sink)(text);
        }
    }

    fn value(&self, status: u16, size: u64, latency: f64) -> Value {
        let response = record(
            "httplog.RequestLogResponse",
            vec![
                ("Code", Value::Integer(i64::from(status))),
                ("Size", Value::Integer(i64::try_from(size).unwrap_or(i64::MAX))),
                ("Latency", Value::Float(latency)),
            ],
        );
        let (pod, address) = &self.log.pod;
        let revision = record(
            "httplog.RequestLogRevision",
            vec![
                ("Name", self.identity.name.as_str().into()),
                ("Namespace", self.identity.namespace.as_str().into()),
                ("Service", self.identity.service.as_str().into()),
                ("Configuration", self.identity.configuration.as_str().into()),
                ("PodName", pod.as_str().into()),
                ("PodIP", address.as_str().into()),
            ],
        );
        record(
            "httplog.RequestLogTemplateInput",
            vec![
                ("Request", self.request()),
                ("Response", response),
                ("Revision", revision),
                ("TraceID", self.trace().into()),
            ],
        )
    }

    fn request(&self) -> Value {
        let (proto, major, minor) = match self.version {
            Version::One0 => ("HTTP/1.0", 1, 0),
            Version::One1 => ("HTTP/1.1", 1, 1),
            Version::Two => ("HTTP/2.0", 2, 0),
        };
        let length = match self.body {
            BodySize::None => 0,
            BodySize::Known(length) => i64::try_from(length).unwrap_or(i64::MAX),
            BodySize::Open => -1,
        };
        let chunked = match (self.body, self.version) {
            (BodySize::Open, Version::One1) => vec![Value::from("chunked")],
            _ => Vec::new(),
        };
        let named = |name: &HeaderName| Value::from(text(&self.headers, name));
        record(
            "http.Request",
            vec![
                ("Method", self.method.as_str().into()),
                ("Host", self.host.as_str().into()),
                ("RequestURI", self.uri.as_str().into()),
                ("Proto", proto.into()),
                ("ProtoMajor", Value::Integer(major)),
                ("ProtoMinor", Value::Integer(minor)),
                ("ContentLength", Value::Integer(length)),
                ("TransferEncoding", Value::List(chunked)),
                ("Header", self.header()),
                ("Close", Value::Bool(self.close)),
                ("RemoteAddr", self.peer.as_str().into()),
                ("UserAgent", named(&header::USER_AGENT)),
                ("Referer", named(&header::REFERER)),
            ],
        )
    }

    fn header(&self) -> Value {
        let mut map: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, value) in &self.headers {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            map.entry(canonical(name.as_str())).or_default().push(value);
        }
        Value::Header(map)
    }

    /// Of W3C's header, else of B3's.
    fn trace(&self) -> &str {
        if !self.log.traces {
            return "";
        }
        let parent = text(&self.headers, &HeaderName::from_static("traceparent"));
        match parent.split('-').nth(1) {
            Some(id) => id,
            None => text(&self.headers, &HeaderName::from_static("x-b3-traceid")),
        }
    }
}

fn record(type_name: &'static str, fields: Vec<(&'static str, Value)>) -> Value {
    Value::Record(Record { type_name, fields })
}
