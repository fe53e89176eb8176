// SPDX-License-Identifier: Apache-2.0
//! Probes that end here (data-plane spec 3.2, 4.7).
//!
//! Depends on: beside, door, health, message.

use crate::door::{Door, Probes};
use crate::health::Health;
use crate::message::{Answer, Request, name};
use crate::ready::Readiness;
use http::{StatusCode, header};

/// Whether a request is a probe for the purpose of logs and counts.
pub(crate) fn is_probe(request: &Request) -> bool {
    is_kubelet(request)
        || !request.text(&name::KUBELET_PROBE).is_empty()
        || !request.text(&name::NETWORK_PROBE).is_empty()
}

fn is_kubelet(request: &Request) -> bool {
    request.text(&header::USER_AGENT).starts_with("kube-probe/")
}

/// The answer to a probe; `None`: the request is none of ours.
pub(crate) async fn answer(door: &Door, request: &mut Request) -> Option<Answer> {
    match &door.probes {
        Probes::App(readiness) => for_app(readiness, &door.health, request).await,
        Probes::Activator => for_activator(&door.health, request),
        Probes::Gateway => None,
        Probes::Beside(beside) => Some(beside.answer(request).await),
    }
}

/// The answer to kubelet's probe of this process; `None`: it is none.
pub(crate) fn of_this_process(door: &Door, request: &Request) -> Option<Answer> {
    let is_kubelets = is_kubelet(request) || !request.text(&name::KUBELET_PROBE).is_empty();
    is_kubelets.then(|| health(&door.health))
}

/// Whether the request asks what a gateway knows.
pub(crate) fn is_of_network(request: &Request) -> bool {
    request.text(&name::NETWORK_PROBE) == "probe"
}

fn health(health: &Health) -> Answer {
    match health.fault() {
        None => Answer::empty(StatusCode::OK),
        Some(fault) => Answer::error(StatusCode::INTERNAL_SERVER_ERROR, fault),
    }
}

async fn for_app(readiness: &Readiness, health: &Health, request: &Request) -> Option<Answer> {
    let agent = request.text(&header::USER_AGENT);
    let asks_health = is_kubelet(request)
        || agent.starts_with("Knative-Activator-Probe")
        || agent.starts_with("Knative-Autoscaling-Probe");
    let probe = request.text(&name::NETWORK_PROBE);
    if !asks_health && probe != "probe" {
        return None;
    }
    if health.is_draining() {
        return Some(Answer::error(StatusCode::SERVICE_UNAVAILABLE, "shutting down"));
    }
    if !asks_health {
        return Some(echo_hash(request));
    }
    if probe != "queue" {
        let message = format_args!("unexpected probe header value: {probe}").to_string();
        return Some(Answer::error(StatusCode::BAD_REQUEST, message));
    }
    Some(match readiness.check().await {
        true => Answer::text(StatusCode::OK, "queue"),
        false => Answer::empty(StatusCode::SERVICE_UNAVAILABLE),
    })
}

fn for_activator(health: &Health, request: &mut Request) -> Option<Answer> {
    if is_kubelet(request) || !request.text(&name::KUBELET_PROBE).is_empty() {
        return Some(self::health(health));
    }
    let probe = request.text(&name::NETWORK_PROBE);
    if probe == "probe" {
        return Some(echo_hash(request));
    }
    let answer = match probe {
        "" => None,
        "activator" => Some(Answer::text(StatusCode::OK, "activator")),
        other => {
            let message = format!("unexpected probe header value: \"{}\"", escaped(other));
            Some(Answer::error(StatusCode::BAD_REQUEST, message))
        }
    };
    request.headers.remove(name::NETWORK_HASH);
    answer
}

/// The answer to a probe of the network.
pub(crate) fn echo_hash(request: &Request) -> Answer {
    match request.headers.get(name::NETWORK_HASH) {
        Some(hash) if !hash.is_empty() => Answer::empty(StatusCode::OK).with(name::NETWORK_HASH, hash.clone()),
        _ => Answer::error(
            StatusCode::BAD_REQUEST,
            "a probe request must contain a non-empty \"K-Network-Hash\" header",
        ),
    }
}

/// Text that no browser takes for markup.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}
