// SPDX-License-Identifier: Apache-2.0
//! The request path: route, admit, activate, forward, account.
//!
//! Problem: one request must meet one limiter, wait until its revision has room, reach one pod, and be counted once,
//! whatever breaks on the way.
//! Mechanism: five named steps, below in their order. A step that cannot go on says how the request ends (`End`).
//! Invariants: a slot is held exactly as long as the pod may work for the request; a request is sent again only if none of
//! it can have been acted on; the timers of data-plane spec 4.6 run over all of it, waiting included.
//! Depends on: alarm, door, exchange, gateway, headers, links, log, message, origin, probes, progress, revision, room, trace, wire::plain.

use crate::alarm::Alarm;
use crate::door::{Door, Entry, Revisions};
use crate::exchange::{Broken, Client, Lane};
use crate::gateway;
use crate::headers::{self, NextHop};
use crate::links::{Question, Reply};
use crate::log::{Line, Outcome};
use crate::message::{Answer, BodySize, Request, Version, name};
use crate::origin::Leads;
use crate::pod::{DialFault, Pod, Retries};
use crate::probes;
use crate::progress::Progress;
use crate::protocol::PodProtocol;
use crate::revision::Revision;
use crate::room::Limit;
use crate::trace::Trace;
use crate::wire::plain;
use http::{HeaderValue, StatusCode, header};
use logic::go::print::quoted;
use logic::limiter::shared::{Admit, Admitted, Asking, Permit};
use logic::limiter::{Rebuff, Refusal};
use std::fmt::Display;
use std::future::{Future as _, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::Poll;

/// Attempts on different pods.
const PODS_TRIED: u32 = 5;
/// What requests are told that wait for a pod when this process ends (data-plane spec 4.7: queue-proxy's word).
const ENDING: &str = "shutting down";
/// And when their revision is no more; another may serve the same host.
const REMOVED: &str = "the revision was removed";

/// How a request ended, but for the happy one.
enum End {
    /// With an answer of ours.
    Answered(Answer),
    /// In the middle of the pod's.
    Cut,
    /// The client did not wait.
    Gone,
}

/// Handles one request of a client, from its head to its end; `leads`: where the address leads that it asked for.
pub(crate) async fn serve<C: Client>(
    door: &Door,
    leads: Option<&Leads>,
    request: &mut Request,
    client: &mut C,
    alarm: &mut Alarm,
) {
    let progress = Progress::new();
    let is_probe = probes::is_probe(request);
    let log = door.log.current();
    let log = log.as_deref().filter(|log| log.probes || !is_probe);
    if let Some(answer) = probes::answer(door, request).await {
        let line = Line::begin(log.filter(|log| log.probes), request, &progress);
        drop(client.answer(&answer, &progress).await);
        return Line::end(line, Outcome::Answered);
    }
    let is_gateway = matches!(door.entry, Entry::ByRoute(..));
    if is_gateway {
        headers::from_client(request);
    }
    let mut trace = Trace::begin(door.front.tracing.as_deref().filter(|_| !is_probe), request, &progress);
    // A gateway logs what its client asked for; Knative's parts what they made of it, and only what names a revision.
    let mut line = Line::begin(log.filter(|_| is_gateway), request, &progress);
    let revision = match route(door, leads, request) {
        Ok(revision) => revision,
        Err(answer) => {
            drop(client.answer(&answer, &progress).await);
            Trace::end(trace, Outcome::Answered);
            return Line::end(line, Outcome::Answered);
        }
    };
    if let Some(trace) = &mut trace {
        trace.routed(&revision);
    }
    if matches!(door.next, NextHop::App { .. }) {
        headers::add_forwarded(&mut request.headers);
    }
    let host = headers::mark(request, &door.next);
    if !is_gateway {
        line = Line::begin(log, request, &progress);
    }
    if let Some(line) = &mut line {
        line.routed(&revision);
    }
    if let Some(host) = host {
        request.host = host;
    }
    if revision.protocol == PodProtocol::H2c {
        plain::unfold(request);
    }
    progress.heed(&revision.timeouts);
    revision.counters.requests.fetch_add(1, Relaxed);
    let present = Present::begin(&revision);
    headers::to_next(request, &door.next);
    let end = tokio::select! {
        biased;
        end = run(door, &revision, request, client, &progress, (&mut line, &mut trace)) => end,
        () = progress.overdue(&revision.timeouts, alarm) => {
            revision.counters.overdue.fetch_add(1, Relaxed);
            match progress.has_answer() {
                true => Err(End::Cut),
                false => Err(End::Answered(Answer::text(StatusCode::GATEWAY_TIMEOUT, door.timeout_text))),
            }
        }
    };
    let outcome = account(&revision, client, end, &progress).await;
    drop(present);
    Trace::end(trace, outcome);
    Line::end(line, outcome);
}

/// Counts a request for as long as it is here, however it ends.
struct Present<'a>(&'a Revision);

impl<'a> Present<'a> {
    fn begin(revision: &'a Revision) -> Self {
        revision.counters.in_flight.fetch_add(1, Relaxed);
        Self(revision)
    }
}

impl Drop for Present<'_> {
    fn drop(&mut self) {
        self.0.counters.in_flight.fetch_sub(1, Relaxed);
    }
}

/// Which revision is it for? The request is changed as its route asks.
///
/// A redirected client gets what the address that it asked for leads to; else who comes from inside the cluster may name a
/// revision; else its host decides (design 3.3).
fn route(door: &Door, leads: Option<&Leads>, request: &mut Request) -> Result<Arc<Revision>, Answer> {
    let host = match leads {
        Some(Leads::Revision(revision)) => return Ok(Arc::clone(revision)),
        Some(Leads::Host(host)) => Some(&**host),
        None => None,
    };
    match &door.entry {
        Entry::Only(revision) => Ok(Arc::clone(revision)),
        Entry::ByName(revisions) => by_name(revisions, &door.cluster_domain, request),
        Entry::ByRoute(revisions, _) if host.is_none() && door.inside.is_some() && names_revision(request) => {
            by_name(revisions, &door.cluster_domain, request)
        }
        Entry::ByRoute(revisions, routes) => gateway::by_route(door, revisions, routes, host, request),
        Entry::Nowhere => Err(Answer::error(StatusCode::NOT_FOUND, "nothing is served here")),
    }
}

fn names_revision(request: &Request) -> bool {
    !request.text(&name::NAMESPACE).is_empty() && !request.text(&name::REVISION).is_empty()
}

/// By Knative's headers, else by the host of the revision's own Service (data-plane spec 3.2).
fn by_name(revisions: &Revisions, domain: &str, request: &Request) -> Result<Arc<Revision>, Answer> {
    let (mut namespace, mut name) = (request.text(&name::NAMESPACE), request.text(&name::REVISION));
    if namespace.is_empty() || name.is_empty() {
        let mut parts = request.host.splitn(4, '.');
        (namespace, name) = match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(first), Some(second), Some("svc"), Some(rest)) if without_port(rest) == domain => (second, first),
            _ => ("", ""),
        };
    }
    revisions.find(namespace, name).ok_or_else(|| {
        let name = quoted(name);
        let message = format!("Error getting active endpoint: revision.serving.knative.dev {name} not found");
        Answer::error(StatusCode::NOT_FOUND, message)
    })
}

fn without_port(host: &str) -> &str {
    host.rsplit_once(':').map_or(host, |(host, _)| host)
}

/// Admits, activates and forwards, on another pod if the first cannot be reached.
async fn run<C: Client>(
    door: &Door,
    revision: &Arc<Revision>,
    request: &Request,
    client: &mut C,
    progress: &Progress,
    (line, trace): (&mut Option<Line<'_>>, &mut Option<Box<Trace<'_>>>),
) -> Result<(), End> {
    if is_too_large(request, door) {
        return Err(broken_end(door, Broken::TooLarge, progress));
    }
    let mut tried = 0;
    loop {
        let place = admit(revision, held_bytes(request))
            .await
            .map_err(|refusal| refused(door, revision, refusal))?;
        let Seat { permit, granted } = match place {
            Place::Running(seat) => seat,
            place => {
                if let Some(trace) = trace {
                    trace.waits();
                }
                tokio::select! {
                seat = activate(door, revision, request, place) => seat.map_err(|refusal| refused(door, revision, refusal))?,
                () = client.gone() => return Err(End::Gone),
                () = door.tasks.hurrying() => return Err(End::Answered(no_room(door, ENDING))),
                () = revision.removed() => return Err(End::Answered(no_room(door, REMOVED))),
                }
            }
        };
        let Some(pod) = granted.or_else(|| revision.pod(permit.pod())) else {
            // It was taken off the list before this task had its turn: there is a place elsewhere, or there will be.
            drop(permit);
            continue;
        };
        tried += 1;
        progress.sent();
        if let Some(line) = line.as_mut() {
            line.sent(pod.address);
        }
        if let Some(trace) = trace.as_mut() {
            trace.sent(pod.address);
        }
        let broken = match forward(door, revision, request, client, &pod, tried, progress).await {
            Ok(()) => return Ok(()),
            Err(broken) => broken,
        };
        let is_untouched = matches!(broken, Broken::Dial(DialFault::Used(_)) | Broken::Unprocessed(_));
        if is_untouched && tried < PODS_TRIED && !door.tasks.is_hurrying() {
            revision.counters.retries.fetch_add(1, Relaxed);
            continue;
        }
        let pod = revision.pod(permit.pod());
        let has_other = || pod.is_none_or(|pod| revision.has_other(&pod));
        let is_elsewhere = tried < PODS_TRIED && has_other();
        if let Broken::Dial(fault) = &broken
            && is_elsewhere
        {
            revision.counters.retries.fetch_add(1, Relaxed);
            if !matches!(fault, DialFault::Ours(..)) {
                revision.shun(permit.pod(), &door.tasks);
            }
            continue;
        }
        return Err(broken_end(door, broken, progress));
    }
}

/// Whether it says itself that its body is larger than it may be.
fn is_too_large(request: &Request, door: &Door) -> bool {
    let most = door.limits.request_body;
    matches!(request.body, BodySize::Known(length) if most > 0 && length > most)
}

/// A place among the requests of its revision: running, or in the queue.
async fn admit(revision: &Revision, bytes: u64) -> Result<Place, Refusal> {
    let mut admit = revision.limiter.admit(bytes);
    let first = poll_fn(|context| Poll::Ready(Pin::new(&mut admit).poll(context))).await;
    match first {
        Poll::Ready(Ok(admitted)) => Ok(admitted.into()),
        Poll::Ready(Err(refusal)) => Err(refusal),
        Poll::Pending => Ok(Place::Waiting(admit)),
    }
}

enum Place {
    Running(Seat),
    Asking(Asking),
    Waiting(Admit),
}

/// A slot, and the way to its pod if another node granted it.
struct Seat {
    permit: Permit,
    granted: Option<Arc<Pod>>,
}

impl From<Admitted> for Place {
    fn from(admitted: Admitted) -> Self {
        match admitted {
            Admitted::Here(permit) => Self::Running(Seat { permit, granted: None }),
            Admitted::AtPeer(asking) => Self::Asking(asking),
        }
    }
}

/// Waits until there is room on a pod.
async fn activate(door: &Door, revision: &Arc<Revision>, request: &Request, place: Place) -> Result<Seat, Refusal> {
    let mut place = place;
    let _holding = revision.held.begin();
    loop {
        place = match place {
            Place::Running(seat) => return Ok(seat),
            Place::Waiting(waiting) => waiting.await?.into(),
            Place::Asking(asking) => ask(door, revision, request, asking).await?,
        };
    }
}

/// Asks the pod's own node for the slot.
async fn ask(door: &Door, revision: &Arc<Revision>, request: &Request, asking: Asking) -> Result<Place, Refusal> {
    let ask = asking.ask();
    let (pod, links) = (revision.pod(ask.pod), revision.links());
    let reply = match pod.as_ref().zip(links) {
        Some((pod, links)) => {
            let question = Question {
                namespace: &revision.identity.namespace,
                revision: &revision.identity.name,
                pod: pod.address,
                offer: ask.offer,
                has_other: revision.has_other(pod),
                // A connection that carried HTTP/1.1 cannot carry HTTP/2.
                fresh: match revision.protocol {
                    PodProtocol::H2c => true,
                    PodProtocol::AsClient => request.version == Version::Two,
                    PodProtocol::Http1 => false,
                },
            };
            links.ask(ask.node, &question).await
        }
        None => Reply::Unreachable,
    };
    let why = match (reply, pod) {
        (Reply::Granted(way), Some(pod)) => {
            let permit = asking.granted().ok_or(Refusal::Busy)?;
            let granted = Some(Arc::new(pod.granted(way)));
            return Ok(Place::Running(Seat { permit, granted }));
        }
        (Reply::Busy(number), _) => Rebuff::Busy(number),
        _ => {
            revision.ask_again(ask.node, &door.tasks);
            Rebuff::Unreachable
        }
    };
    asking.refused(why).map(Place::Waiting).ok_or(Refusal::Busy)
}

/// To the pod, and its answer to the client.
async fn forward<C: Client>(
    door: &Door,
    revision: &Revision,
    request: &Request,
    client: &mut C,
    pod: &Pod,
    tried: u32,
    progress: &Progress,
) -> Result<(), Broken> {
    let host = match &door.next {
        NextHop::App { .. } if request.host.is_empty() => &pod.authority,
        NextHop::App { .. } => &request.host,
        NextHop::Proxy { private_host: false } => &pod.authority,
        NextHop::Proxy { private_host: true } => &revision.private_host,
    };
    let retries = match tried < PODS_TRIED && revision.has_other(pod) {
        true => Retries::Elsewhere,
        false => Retries::Here,
    };
    let lane = Lane {
        pod,
        host,
        protocol: revision.protocol,
        retries,
        limits: &door.limits,
        room: &door.front.room,
        tasks: &door.tasks,
        progress,
    };
    client.forward(request, &lane).await
}

/// Tells the client how it ended, and counts it.
async fn account<C: Client>(revision: &Revision, client: &mut C, end: Result<(), End>, progress: &Progress) -> Outcome {
    let outcome = match &end {
        Ok(()) => Outcome::Whole,
        Err(End::Answered(_)) => Outcome::Answered,
        Err(End::Cut) => Outcome::Cut,
        Err(End::Gone) => Outcome::Gone,
    };
    match end {
        Ok(()) => {}
        Err(End::Answered(answer)) => drop(client.answer(&answer, progress).await),
        Err(End::Cut | End::Gone) => client.cut(),
    }
    revision
        .counters
        .ended(progress.status(), progress.begun.elapsed(), progress.waited());
    outcome
}

/// What a request holds while it waits: its head, about.
fn held_bytes(request: &Request) -> u64 {
    let fields: usize = request
        .headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + 32)
        .sum();
    let rest = request.rest.as_ref().map_or(0, |lines| lines.len());
    (fields + rest + request.target.text.len() + 512) as u64
}

fn refused(door: &Door, revision: &Revision, refusal: Refusal) -> End {
    revision.counters.refused.fetch_add(1, Relaxed);
    End::Answered(no_room(door, refusal))
}

fn no_room(door: &Door, why: impl Display) -> Answer {
    let answer = Answer::error(StatusCode::SERVICE_UNAVAILABLE, why);
    match door.limits.retry_after {
        Some(seconds) => answer.with(header::RETRY_AFTER, HeaderValue::from(seconds)),
        None => answer,
    }
}

fn broken_end(door: &Door, broken: Broken, progress: &Progress) -> End {
    let limit = match broken {
        Broken::TooLarge => Some(Limit::RequestBody),
        Broken::Slow => Some(Limit::BodyTime),
        Broken::Unread => Some(Limit::WriteTime),
        _ => None,
    };
    if let Some(limit) = limit {
        door.front.room.refused(limit);
    }
    match broken {
        Broken::Gone | Broken::Unread => End::Gone,
        Broken::Cut => End::Cut,
        _ if progress.has_answer() => End::Cut,
        Broken::TooLarge => End::Answered(Answer::error(StatusCode::PAYLOAD_TOO_LARGE, &broken)),
        Broken::Slow => End::Answered(Answer::error(StatusCode::REQUEST_TIMEOUT, &broken)),
        Broken::NoUri(fault) => End::Answered(Answer::error(fault.status(), fault)),
        Broken::BadBody => End::Answered(Answer::error(StatusCode::BAD_REQUEST, &broken)),
        Broken::Dial(_) | Broken::Pod(_) | Broken::Unprocessed(_) | Broken::NoAnswer => {
            End::Answered(Answer::error(StatusCode::BAD_GATEWAY, &broken))
        }
    }
}
