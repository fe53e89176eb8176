// SPDX-License-Identifier: Apache-2.0
//! What becomes of headers on the way (data-plane spec 3.3, 4.4).
//!
//! Mechanism: what belongs to one connection ends here (RFC 9110 7.6.1); what tells the next one about this one is added.
//! Invariants: `Host` and the framing are not among the headers, so nothing a client lists in `Connection` takes them away; nor
//! what a gateway adds, which comes after `from_client`.
//! Depends on: message, target, wire::write.

use crate::message::{BodySize, Request, Version, lists, name, words};
use crate::target::is_host;
use crate::wire::write;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};

/// Who is next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NextHop {
    /// The application itself.
    App {
        /// Whether `K-Original-Host` is believed: only behind another proxy of ours.
        restore_host: bool,
    },
    /// Another proxy of ours, or Knative's, in front of the application.
    Proxy {
        /// The host it is to see instead of the pod's address (`enable-mesh-pod-addressability`).
        private_host: bool,
    },
}

/// A `Host` without a name in it: an application reads it as empty.
const NO_HOST: &str = " ";

/// Headers of one hop only; `wire::usual` knows them by their length.
pub(crate) const HOP_BY_HOP: [HeaderName; 9] = [
    header::CONNECTION,
    name::PROXY_CONNECTION,
    name::KEEP_ALIVE,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// What is for us to read.
const FOR_US: [HeaderName; 2] = [name::REVISION, name::NAMESPACE];

/// `Forwarded` (RFC 7239) out of its older relatives, unless it is there.
pub(crate) fn add_forwarded(headers: &mut HeaderMap) {
    add_forwarded_with(headers, None);
}

/// The same, with the client itself as the last of those it is for: what the first of several proxies says.
pub(crate) fn add_forwarded_with(headers: &mut HeaderMap, peer: Option<&HeaderValue>) {
    if headers.contains_key(header::FORWARDED) {
        return;
    }
    let first = |name: &HeaderName| headers.get(name).map(HeaderValue::as_bytes);
    let (nodes, proto, host) = (
        first(&name::FORWARDED_FOR),
        first(&name::FORWARDED_PROTO).filter(|value| !value.is_empty()),
        first(&name::FORWARDED_HOST).filter(|value| !value.is_empty()),
    );
    if nodes.is_none() && proto.is_none() && host.is_none() && peer.is_none() {
        return;
    }
    let mut out = Vec::with_capacity(128);
    let mut nodes = nodes
        .unwrap_or_default()
        .split(|byte| *byte == b',')
        .map(<[u8]>::trim_ascii)
        .chain(peer.map(HeaderValue::as_bytes))
        .filter(|node| !node.is_empty());
    let add = |label: &[u8], value: &[u8], out: &mut Vec<u8>| {
        if !out.is_empty() {
            out.push(b';');
        }
        out.extend_from_slice(label);
        out.extend_from_slice(value);
    };
    if let Some(node) = nodes.next() {
        add(b"for=", b"", &mut out);
        add_node(node, &mut out);
    }
    if let Some(host) = host {
        add(b"host=", host, &mut out);
    }
    if let Some(proto) = proto {
        add(b"proto=", proto, &mut out);
    }
    for node in nodes {
        out.extend_from_slice(b", for=");
        add_node(node, &mut out);
    }
    if !out.is_empty()
        && let Ok(value) = HeaderValue::from_maybe_shared(Bytes::from(out))
    {
        headers.insert(header::FORWARDED, value);
    }
}

/// An address with a colon is bracketed and quoted.
fn add_node(node: &[u8], out: &mut Vec<u8>) {
    if node.contains(&b':') && !node.starts_with(b"\"") {
        out.extend([b"\"[", node, b"]\""].into_iter().flatten());
    } else {
        out.extend_from_slice(node);
    }
}

/// Takes away what is for this connection only.
fn prune(headers: &mut HeaderMap) {
    let listed: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .flat_map(words)
        .filter_map(|word| HeaderName::from_bytes(word).ok())
        .collect();
    for name in &listed {
        headers.remove(name);
    }
    for name in &HOP_BY_HOP {
        headers.remove(name);
    }
}

/// Whether one of these is there. Going through a usual head is less than looking each of them up.
fn has_any(headers: &HeaderMap, names: &[HeaderName]) -> bool {
    headers.keys().any(|name| names.contains(name))
}

/// The request without what its client says is for this connection only: done before anything is added, since what the client
/// lists in `Connection` may name that, too.
pub(crate) fn from_client(request: &mut Request) {
    if request.headers.contains_key(header::CONNECTION) {
        end_hop(request);
    }
}

/// What proxies tell each other of the host, as logs see it. Returns the host that the application is to be asked for, if it is
/// another.
pub(crate) fn mark(request: &mut Request, next: &NextHop) -> Option<Box<str>> {
    match next {
        NextHop::App { restore_host: false } => None,
        NextHop::App { restore_host: true } => original_host(&mut request.headers),
        NextHop::Proxy { .. } => {
            if request.text(&name::ORIGINAL_HOST).is_empty()
                && let Ok(host) = HeaderValue::from_str(&request.host)
            {
                request.headers.insert(name::ORIGINAL_HOST, host);
            }
            let activator = HeaderValue::from_static("activator");
            request.headers.insert(name::PROXY_REQUEST, activator);
            None
        }
    }
}

/// The request as the next hop gets it, but for its `Host` line; after `mark`.
pub(crate) fn to_next(request: &mut Request, next: &NextHop) {
    request.body = sent_size(&request.method, request.body);
    if has_any(&request.headers, &HOP_BY_HOP) {
        end_hop(request);
    }
    let headers = &mut request.headers;
    if has_any(headers, &FOR_US) {
        headers.remove(name::REVISION);
        headers.remove(name::NAMESPACE);
    }
    keep_first_agent(headers);
    join_cookies(headers, request.version);
    match &mut request.rest {
        // It does not say who asked before (`wire::plain`).
        Some(lines) => write::field(b"x-forwarded-for", request.peer.text.as_bytes(), lines),
        None => add_peer(headers, &request.peer.text),
    }
    if *next == (NextHop::Proxy { private_host: true }) {
        headers.insert(name::PASSTHROUGH, HeaderValue::from_static("true"));
    }
}

/// How much of a body the next hop is told of: an empty one only where a method asks for one (RFC 9110 8.6), as Go does it.
fn sent_size(method: &Method, size: BodySize) -> BodySize {
    match size {
        BodySize::None | BodySize::Known(0) => match *method {
            Method::POST | Method::PUT | Method::PATCH => BodySize::Known(0),
            _ => BodySize::None,
        },
        some => some,
    }
}

/// One who says that it is nobody says nothing, and only its first word counts.
fn keep_first_agent(headers: &mut HeaderMap) {
    let mut agents = headers.get_all(header::USER_AGENT).iter();
    let (first, second) = (agents.next(), agents.next());
    match (first.map(HeaderValue::is_empty), second) {
        (Some(true), _) => drop(headers.remove(header::USER_AGENT)),
        (Some(false), Some(_)) => {
            if let Some(first) = first.cloned() {
                headers.insert(header::USER_AGENT, first);
            }
        }
        _ => {}
    }
}

/// What is for this connection only goes, but for what the next one is asked in its place.
fn end_hop(request: &mut Request) {
    let upgrade = match request.version {
        // HTTP/2 by upgrade is obsolete, and to be ignored (RFC 9113 3.1).
        Version::One1 => request
            .upgrade()
            .filter(|protocol| !protocol.as_bytes().eq_ignore_ascii_case(b"h2c"))
            .cloned(),
        _ => None,
    };
    let takes_trailers = lists(&request.headers, &header::TE, "trailers");
    let trailer = match request.body {
        BodySize::Open => announced(&request.headers, b","),
        _ => None,
    };
    prune(&mut request.headers);
    let headers = &mut request.headers;
    if takes_trailers {
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
    }
    if let Some(trailer) = trailer {
        headers.insert(header::TRAILER, trailer);
    }
    if let Some(protocol) = upgrade {
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(header::UPGRADE, protocol);
    }
}

/// Takes the host that the first proxy was asked for out of the headers; what no host may be, nobody is asked for.
fn original_host(headers: &mut HeaderMap) -> Option<Box<str>> {
    let host = headers.get(name::ORIGINAL_HOST).filter(|host| !host.is_empty())?;
    let host = match host.to_str() {
        Ok(host) if is_host(host.as_bytes()) => host.into(),
        _ => NO_HOST.into(),
    };
    headers.remove(name::ORIGINAL_HOST);
    Some(host)
}

/// The names of trailers that are to come, as Go writes them.
fn announced(headers: &HeaderMap, between: &[u8]) -> Option<HeaderValue> {
    let mut out = Vec::new();
    for word in headers.get_all(header::TRAILER).iter().flat_map(words) {
        if !out.is_empty() {
            out.extend_from_slice(between);
        }
        write::name(word, &mut out);
    }
    (!out.is_empty()).then(|| HeaderValue::from_maybe_shared(Bytes::from(out)).ok())?
}

/// HTTP/2 may send a cookie in pieces; applications know one line (RFC 9113 8.2.3).
fn join_cookies(headers: &mut HeaderMap, version: Version) {
    if version != Version::Two || headers.get_all(header::COOKIE).iter().nth(1).is_none() {
        return;
    }
    let pieces: Vec<&[u8]> = headers
        .get_all(header::COOKIE)
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    if let Ok(joined) = HeaderValue::from_bytes(&pieces.join(&b"; "[..])) {
        headers.insert(header::COOKIE, joined);
    }
}

/// Adds who asked.
fn add_peer(headers: &mut HeaderMap, peer: &HeaderValue) {
    let value = if headers.contains_key(name::FORWARDED_FOR) {
        let before = headers.get_all(name::FORWARDED_FOR).iter().map(HeaderValue::as_bytes);
        let all: Vec<&[u8]> = before.chain([peer.as_bytes()]).collect();
        HeaderValue::from_bytes(&all.join(&b", "[..]))
    } else {
        Ok(peer.clone())
    };
    if let Ok(value) = value {
        headers.insert(name::FORWARDED_FOR, value);
    }
}

/// The response as the client gets it.
pub(crate) fn to_client(headers: &mut HeaderMap) {
    if !has_any(headers, &HOP_BY_HOP) {
        return;
    }
    let trailer = announced(headers, b", ");
    prune(headers);
    if let Some(trailer) = trailer {
        headers.insert(header::TRAILER, trailer);
    }
}

/// An agreement to go on in another protocol, as the client gets it.
pub(crate) fn to_upgraded_client(headers: &mut HeaderMap) {
    let protocol = headers.get(header::UPGRADE).cloned();
    to_client(headers);
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    if let Some(protocol) = protocol {
        headers.insert(header::UPGRADE, protocol);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Limits;
    use crate::message::Peer;
    use crate::wire::parse;
    use std::net::SocketAddr;

    fn forwarded(headers: &[(&'static str, &'static str)]) -> Option<String> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_static(value));
        }
        add_forwarded(&mut map);
        map.get("forwarded").map(|value| value.to_str().unwrap().to_owned())
    }

    #[test]
    fn forwarded_is_made_of_its_relatives() {
        let all = [
            ("x-forwarded-for", "1.2.3.4, 5.6.7.8"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "h"),
        ];
        assert_eq!(forwarded(&all).unwrap(), "for=1.2.3.4;host=h;proto=https, for=5.6.7.8");
        assert_eq!(forwarded(&all[1..2]).unwrap(), "proto=https");
        assert_eq!(
            forwarded(&[("x-forwarded-for", "2001:db8::1")]).unwrap(),
            "for=\"[2001:db8::1]\""
        );
        assert_eq!(forwarded(&[]), None);
    }

    #[test]
    fn what_connection_lists_goes_no_further() {
        let mut map = HeaderMap::new();
        map.insert("connection", HeaderValue::from_static("keep-alive, X-Hop"));
        map.insert("x-hop", HeaderValue::from_static("1"));
        map.insert("x-keep", HeaderValue::from_static("1"));
        to_client(&mut map);
        assert_eq!(map.keys().collect::<Vec<_>>(), ["x-keep"]);
    }

    fn next(head: &str, next: &NextHop) -> Request {
        let peer = Peer::new(SocketAddr::from(([127, 0, 0, 1], 1)));
        let mut request = parse::request(&Bytes::from(head.to_owned()), &peer, &Limits::default()).unwrap();
        if let Some(host) = mark(&mut request, next) {
            request.host = host;
        }
        to_next(&mut request, next);
        request
    }

    #[test]
    fn an_empty_body_is_told_of_where_the_method_asks_for_one() {
        for (method, is_told) in [
            ("POST", true),
            ("PUT", true),
            ("PATCH", true),
            ("GET", false),
            ("HEAD", false),
            ("DELETE", false),
            ("OPTIONS", false),
            ("PURGE", false),
        ] {
            for fields in ["", "Content-Length: 0\r\n"] {
                let head = format!("{method} / HTTP/1.1\r\nHost: h\r\n{fields}\r\n");
                let request = next(&head, &NextHop::App { restore_host: false });
                let due = if is_told { BodySize::Known(0) } else { BodySize::None };
                assert_eq!(request.body, due, "{head}");
            }
        }
        let some = next(
            "DELETE / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n",
            &NextHop::App { restore_host: false },
        );
        assert_eq!(some.body, BodySize::Known(5));
    }

    #[test]
    fn of_several_agents_the_first_counts() {
        let agents = |fields: &str| {
            let head = format!("GET / HTTP/1.1\r\nHost: h\r\n{fields}\r\n");
            let request = next(&head, &NextHop::App { restore_host: false });
            let all = request.headers.get_all("user-agent").iter();
            all.map(|agent| agent.to_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(agents("User-Agent: a\r\nUser-Agent: b\r\n"), ["a"]);
        assert_eq!(agents("User-Agent:\r\nUser-Agent: b\r\n"), [""; 0]);
        assert_eq!(agents("User-Agent: a\r\n"), ["a"]);
    }

    #[test]
    fn an_expectation_without_a_body_is_for_the_application() {
        for (head, due) in [
            (
                "GET / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n\r\n",
                "100-continue",
            ),
            ("GET / HTTP/1.1\r\nHost: h\r\nExpect:\r\n\r\n", ""),
            (
                "PUT / HTTP/1.0\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n",
                "100-continue",
            ),
        ] {
            let request = next(head, &NextHop::App { restore_host: false });
            assert!(!request.expects_continue, "{head}");
            assert_eq!(request.headers["expect"], due, "{head}");
        }
    }

    #[test]
    fn the_host_is_restored_before_connection_can_take_it_away_and_only_if_it_is_one() {
        let restored = |fields: &str| {
            let head = format!("GET / HTTP/1.1\r\nHost: h\r\n{fields}\r\n");
            let request = next(&head, &NextHop::App { restore_host: true });
            (
                request.host.to_string(),
                request.headers.get_all("k-original-host").iter().count(),
            )
        };
        assert_eq!(
            restored("K-Original-Host: a:80\r\nConnection: K-Original-Host\r\n"),
            ("a:80".to_owned(), 0)
        );
        assert_eq!(restored("K-Original-Host: a b\r\n"), (" ".to_owned(), 0));
        assert_eq!(restored("K-Original-Host: a/b\r\n"), (" ".to_owned(), 0));
        assert_eq!(restored("K-Original-Host:\r\n"), ("h".to_owned(), 1));
        let activator = next(
            "GET / HTTP/1.1\r\nHost: h\r\nK-Original-Host:\r\n\r\n",
            &NextHop::Proxy { private_host: false },
        );
        assert_eq!(activator.headers["k-original-host"], "h");
        let activator = next(
            "GET / HTTP/1.1\r\nHost: h\r\nConnection: K-Proxy-Request\r\n\r\n",
            &NextHop::Proxy { private_host: true },
        );
        let left: Vec<_> = activator.headers.keys().collect();
        assert!(!activator.headers.contains_key("k-proxy-request"), "{left:?}");
        assert!(activator.headers.contains_key("k-passthrough-lb"), "{left:?}");
    }

    #[test]
    fn trailers_are_announced_in_canonical_case() {
        let mut map = HeaderMap::new();
        map.append("trailer", HeaderValue::from_static("x-a,grpc-STATUS"));
        map.append("trailer", HeaderValue::from_static("x-b"));
        to_client(&mut map);
        assert_eq!(map["trailer"], "X-A, Grpc-Status, X-B");
    }

    #[test]
    fn what_is_added_after_the_client_was_heard_stays_and_a_second_look_changes_nothing() {
        let head = "POST / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, TE, X-Hop, X-From, close\r\nX-Hop: 1\r\nX-From: me\r\n\
                    Upgrade: websocket\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n";
        let peer = Peer::new(SocketAddr::from(([127, 0, 0, 1], 1)));
        let mut request = parse::request(&Bytes::from(head), &peer, &Limits::default()).unwrap();
        from_client(&mut request);
        request.headers.insert("x-from", HeaderValue::from_static("edge"));
        to_next(&mut request, &NextHop::App { restore_host: false });
        let mut left: Vec<_> = request
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
            .collect();
        left.sort_unstable();
        assert_eq!(
            left,
            [
                ("connection", "Upgrade"),
                ("te", "trailers"),
                ("trailer", "X-Sum"),
                ("upgrade", "websocket"),
                ("x-forwarded-for", "127.0.0.1"),
                ("x-from", "edge"),
            ]
        );
    }
}
