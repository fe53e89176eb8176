// SPDX-License-Identifier: Apache-2.0
//! What a template of Knative's request log can see of a request (data-plane spec 4.10).
//!
//! Depends on: message, target, log::facts, logic::settings::template.

use super::facts::{Ended, Facts};
use crate::message::{BodySize, Version, text};
use crate::revision::Identity;
use crate::target::{Target, unescaped};
use http::{HeaderName, HeaderValue, header};
use logic::settings::template::{Record, Template, Value, canonical};
use std::collections::BTreeMap;

/// The line; one that cannot be rendered still says what matters.
pub(super) fn render(template: &Template, line: &Facts<'_>, ended: &Ended) -> String {
    let latency = ended.took.as_secs_f64();
    let mut text = template.render(&value(line, ended, latency)).unwrap_or_else(|_| {
        format!(
            "Invalid request log template: method: {}, response code: {}, latency: {latency:?}, url: {}",
            line.method, ended.status, line.uri
        )
    });
    if text.ends_with('\n') {
        text.pop();
    }
    text
}

fn value(line: &Facts<'_>, ended: &Ended, latency: f64) -> Value {
    let response = record(
        "httplog.RequestLogResponse",
        vec![
            ("Code", Value::Integer(i64::from(ended.status))),
            ("Size", Value::Integer(i64::try_from(ended.bytes).unwrap_or(i64::MAX))),
            ("Latency", Value::Float(latency)),
        ],
    );
    let (pod, address) = &line.log.pod;
    let none = Identity::default();
    let identity = line.revision.as_ref().map_or(&none, |revision| &revision.identity);
    let revision = record(
        "httplog.RequestLogRevision",
        vec![
            ("Name", identity.name.as_str().into()),
            ("Namespace", identity.namespace.as_str().into()),
            ("Service", identity.service.as_str().into()),
            ("Configuration", identity.configuration.as_str().into()),
            ("PodName", pod.as_str().into()),
            ("PodIP", address.as_str().into()),
        ],
    );
    record(
        "httplog.RequestLogTemplateInput",
        vec![
            ("Request", request(line)),
            ("Response", response),
            ("Revision", revision),
            ("TraceID", trace(line).into()),
        ],
    )
}

fn request(line: &Facts<'_>) -> Value {
    let (proto, major, minor) = match line.version {
        Version::One0 => ("HTTP/1.0", 1, 0),
        Version::One1 => ("HTTP/1.1", 1, 1),
        Version::Two => ("HTTP/2.0", 2, 0),
    };
    let length = match line.body {
        BodySize::None => 0,
        BodySize::Known(length) => i64::try_from(length).unwrap_or(i64::MAX),
        BodySize::Open => -1,
    };
    let chunked = match (line.body, line.version) {
        (BodySize::Open, Version::One1) => vec![Value::from("chunked")],
        _ => Vec::new(),
    };
    let named = |name: &HeaderName| {
        let value = line.headers.get(name).map(HeaderValue::as_bytes).unwrap_or_default();
        Value::from(&*String::from_utf8_lossy(value))
    };
    record(
        "http.Request",
        vec![
            ("Method", line.method.as_str().into()),
            ("Host", (&*line.host).into()),
            ("URL", url(&line.uri)),
            ("RequestURI", (&*line.uri).into()),
            ("Proto", proto.into()),
            ("ProtoMajor", Value::Integer(major)),
            ("ProtoMinor", Value::Integer(minor)),
            ("ContentLength", Value::Integer(length)),
            ("TransferEncoding", Value::List(chunked)),
            ("Header", headers(line)),
            ("Close", Value::Bool(line.close)),
            ("RemoteAddr", line.peer.to_string().as_str().into()),
            ("UserAgent", named(&header::USER_AGENT)),
            ("Referer", named(&header::REFERER)),
        ],
    )
}

/// What a request line asks for, in its parts.
fn url(uri: &str) -> Value {
    let (scheme, rest) = match uri.split_once("://") {
        Some((scheme, rest)) if !uri.starts_with('/') => (scheme, rest),
        _ => ("", uri),
    };
    let begin = match scheme {
        "" => 0,
        _ => rest.find(['/', '?']).unwrap_or(rest.len()),
    };
    let (authority, rest) = rest.split_at_checked(begin).unwrap_or(("", rest));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (path, raw_path) = Target::paths(path);
    let fields = vec![
        ("Scheme", scheme.into()),
        ("Host", host.into()),
        ("Path", path.as_str().into()),
        ("RawPath", raw_path.as_str().into()),
        ("RawQuery", query.into()),
        ("Query", words(query)),
    ];
    let type_name = "url.URL";
    Value::Shown(uri.to_owned(), Record { type_name, fields })
}

/// The words of a query; what cannot be read is left out.
fn words(query: &str) -> Value {
    let mut map: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let pairs = query.split('&').filter(|pair| !pair.is_empty() && !pair.contains(';'));
    for pair in pairs {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if let (Some(name), Some(value)) = (word(name), word(value)) {
            map.entry(name).or_default().push(value);
        }
    }
    Value::Query(map)
}

fn word(text: &str) -> Option<String> {
    let plain = unescaped(&text.replace('+', " "))?;
    Some(String::from_utf8_lossy(&plain).into_owned())
}

fn headers(line: &Facts<'_>) -> Value {
    let mut map: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in &line.headers {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        map.entry(canonical(name.as_str())).or_default().push(value);
    }
    Value::Header(map)
}

/// Of W3C's header, else of B3's.
fn trace<'a>(line: &'a Facts<'_>) -> &'a str {
    if !line.log.traces {
        return "";
    }
    let parent = text(&line.headers, &HeaderName::from_static("traceparent"));
    match parent.split('-').nth(1) {
        Some(id) => id,
        None => text(&line.headers, &HeaderName::from_static("x-b3-traceid")),
    }
}

fn record(type_name: &'static str, fields: Vec<(&'static str, Value)>) -> Value {
    Value::Record(Record { type_name, fields })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(uri: &str, text: &str) -> String {
        let template = Template::parse("requestLog", text).unwrap();
        template.render(&url(uri)).unwrap()
    }

    #[test]
    fn a_url_is_told_whole_and_in_its_parts() {
        let parts = "{{.}} {{.Scheme}} {{.Host}} {{.Path}} {{.RawPath}} {{.RawQuery}} {{.Query.Get \"a\"}}";
        for (uri, due) in [
            (
                "/a%2Fb?a=1+2&a=3&c;d",
                "/a%2Fb?a=1+2&a=3&c;d   /a/b /a%2Fb a=1+2&a=3&c;d 1 2",
            ),
            ("/a%20b", "/a%20b   /a b   "),
            ("/?u=http://h/x", "/?u=http://h/x   /  u=http://h/x "),
            ("http://u@h:80?a=%zz&b=", "http://u@h:80?a=%zz&b= http h:80   a=%zz&b= "),
        ] {
            assert_eq!(rendered(uri, parts), due);
        }
    }
}
