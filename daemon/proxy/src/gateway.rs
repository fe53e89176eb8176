// SPDX-License-Identifier: Apache-2.0
//! What a gateway does with a request before it is for a revision (control-plane spec 5.2, 5.3).
//!
//! Mechanism: the table says where to and what is set on the request; HTTP where only HTTPS is wanted is sent there; a probe
//! of the network ends here, since it asks whether this gateway knows the route.
//! Depends on: door, headers, message, probes, revision, wire, logic::traffic.

use crate::door::{Door, Probes, Revisions, Routes, Visibility};
use crate::headers;
use crate::message::{Answer, Peer, Request, name};
use crate::probes;
use crate::revision::Revision;
use crate::wire::{plain, write};
use bytes::BytesMut;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use logic::traffic::{self, Destination, Draw, host};
use std::sync::Arc;

/// Where an issuer of certificates looks for the proof that a host is ours (RFC 8555 8.3): always by plain HTTP.
const CHALLENGES: &str = "/.well-known/acme-challenge/";

/// The revision of a request, by the routes; `asked`: the host that counts instead of its own. The request is changed as its
/// route asks.
pub(crate) fn by_route(
    door: &Door,
    revisions: &Revisions,
    routes: &Routes,
    asked: Option<&str>,
    request: &mut Request,
) -> Result<Arc<Revision>, Answer> {
    let table = routes.current();
    let found = table.as_ref().and_then(|table| {
        let seen = traffic::Request {
            host: asked.unwrap_or(&request.host),
            path: request.target.path(),
            headers: &Seen(request),
        };
        table.find(&seen)?.pick(Draw::new(fastrand::u64(..)))
    });
    let is_gateway = matches!(door.probes, Probes::Gateway);
    let Some(destination) = found else {
        let health = is_gateway.then(|| probes::of_this_process(door, request)).flatten();
        return Err(
            health.unwrap_or_else(|| Answer::error(StatusCode::NOT_FOUND, "no route leads from this host and path"))
        );
    };
    if let Some(elsewhere) = to_https(door, destination, request) {
        return Err(elsewhere);
    }
    let revision = revisions
        .find(&destination.namespace, &destination.service)
        .ok_or_else(|| {
            Answer::error(
                StatusCode::SERVICE_UNAVAILABLE,
                "the revision of this route is not known here",
            )
        })?;
    // Those of Knative are no lines of the client's, nor among what is added there.
    if destination
        .set_headers()
        .any(|(name, _)| !plain::is_knatives(name.as_bytes()))
    {
        plain::unfold(request);
    }
    for (name, value) in destination.set_headers() {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            request.headers.insert(name, value);
        }
    }
    if is_gateway {
        if probes::is_of_network(request) {
            return Err(probes::echo_hash(request));
        }
        tell_way(door, request);
    }
    if let Some(host) = &destination.host {
        request.host = host.clone();
    }
    Ok(revision)
}

/// 301 to the same place by HTTPS; `None`: it may stay.
fn to_https(door: &Door, destination: &Destination, request: &Request) -> Option<Answer> {
    let may_stay = !destination.https_only
        || door.front.tls.is_some()
        || door.front.visibility == Visibility::ClusterLocal
        || door.front.trusts_proto && request.text(&name::FORWARDED_PROTO).eq_ignore_ascii_case("https")
        || request.target.path().starts_with(CHALLENGES)
        || probes::is_of_network(request);
    if may_stay {
        return None;
    }
    let host = host::name(&request.host);
    let path = match request.is_connect() {
        // Its target is an authority.
        true => "/".into(),
        false => request.target.escaped(),
    };
    let place = match door.front.https_port {
        443 => format!("https://{host}{path}"),
        port => format!("https://{host}:{port}{path}"),
    };
    // A host of the table and a parsed target are visible ASCII.
    let place = HeaderValue::from_str(&place).ok()?;
    Some(Answer::empty(StatusCode::MOVED_PERMANENTLY).with(header::LOCATION, place))
}

/// Tells the application who its client is and how it came in.
fn tell_way(door: &Door, request: &mut Request) {
    let peer = &request.peer;
    match &mut request.rest {
        // Of a client that says nothing of it the same is told every time.
        Some(lines) => lines.extend_from_slice(peer.came.get_or_init(|| {
            let (mut headers, mut lines) = (HeaderMap::new(), BytesMut::new());
            add_way(door, &mut headers, peer);
            write::fields(&headers, &mut lines);
            lines[..].into()
        })),
        None => add_way(door, &mut request.headers, peer),
    }
}

fn add_way(door: &Door, headers: &mut HeaderMap, peer: &Peer) {
    tell_scheme(door, headers);
    headers::add_forwarded_with(headers, Some(&peer.text));
}

/// Tells the application how its client came in; somebody before us may know better: within the cluster, or where the
/// listener says so.
fn tell_scheme(door: &Door, headers: &mut HeaderMap) {
    let scheme = match door.front.tls {
        Some(_) => "https",
        None if (door.front.visibility == Visibility::ClusterLocal || door.front.trusts_proto)
            && headers.contains_key(name::FORWARDED_PROTO) =>
        {
            return;
        }
        None => "http",
    };
    headers.insert(name::FORWARDED_PROTO, HeaderValue::from_static(scheme));
}

/// Headers as route conditions look at them.
struct Seen<'a>(&'a Request);

impl traffic::Headers for Seen<'_> {
    fn any(&self, name: &str, holds: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        let mut of_map = self.0.headers.get_all(name).iter();
        let rest = self.0.rest.as_deref().unwrap_or_default();
        of_map.any(|value| holds(value.as_bytes()))
            || plain::fields(rest).any(|(other, value)| other.eq_ignore_ascii_case(name.as_bytes()) && holds(value))
    }
}
