// SPDX-License-Identifier: Apache-2.0
//! The schema of a probe: control-plane spec 1.3.
//!
//! Depends on: schema.

use serde_json::{Value, json};

use super::schema::{atomic_list, int32, object, object_with, port, text, with_default};

pub(super) fn probe(doc: &str) -> Value {
    object(
        doc,
        [
            ("exec", exec()),
            ("failureThreshold", int32("Failures in a row that count.")),
            ("grpc", grpc()),
            ("httpGet", http_get()),
            (
                "initialDelaySeconds",
                int32("How long after the start the first one waits."),
            ),
            ("periodSeconds", int32("How long from one to the next.")),
            ("successThreshold", int32("Successes in a row that count.")),
            ("tcpSocket", tcp_socket()),
            ("timeoutSeconds", int32("How long an answer may take.")),
        ],
    )
}

fn exec() -> Value {
    let command = atomic_list("The command and its arguments; no shell.", json!({"type": "string"}));
    object("A command in the container; 0 is success.", [("command", command)])
}

fn grpc() -> Value {
    object(
        "A call of gRPC's own health service.",
        [
            ("port", int32("The port.")),
            ("service", with_default(text("The service that is asked for."), "")),
        ],
    )
}

fn http_get() -> Value {
    let header = object_with(
        "A header of the request.",
        &["name", "value"],
        [("name", text("Its name.")), ("value", text("Its value."))],
    );
    object(
        "A request; 200 to 399 is success.",
        [
            ("host", text("The host that is asked; the pod's address if empty.")),
            ("httpHeaders", atomic_list("Headers of the request.", header)),
            ("path", text("The path.")),
            ("port", port("The port, by number or name.")),
            ("scheme", text("HTTP or HTTPS.")),
        ],
    )
}

fn tcp_socket() -> Value {
    object(
        "A connection; it is enough that it opens.",
        [
            ("host", text("The host that is dialled; the pod's address if empty.")),
            ("port", port("The port, by number or name.")),
        ],
    )
}
