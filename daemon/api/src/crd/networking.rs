// SPDX-License-Identifier: Apache-2.0
//! Schemas of networking.internal.knative.dev: control-plane spec 1.6 and 5.1.
//!
//! Depends on: schema, status.

use serde_json::{Value, json};

use super::autoscaling::target;
use super::schema::{boolean, int32, kind, list, map, object, object_with, port, set, text, text_map, texts};
use super::status;

pub(super) fn ingress() -> Value {
    let spec = object(
        "Which requests go where.",
        [
            (
                "httpOption",
                text("What happens to plain HTTP: Enabled (the default) or Redirected."),
            ),
            ("rules", list("What is done with the requests for a host.", rule())),
            ("tls", list("Certificates, by host.", tls())),
        ],
    );
    let status = status::with([
        (
            "publicLoadBalancer",
            load_balancer("Where requests from outside arrive."),
        ),
        (
            "privateLoadBalancer",
            load_balancer("Where requests from inside the cluster arrive."),
        ),
    ]);
    kind(
        "The programming of the gateway for one Route or DomainMapping.",
        spec,
        Some(status),
    )
}

fn rule() -> Value {
    let paths = list("The first path that matches is taken.", path());
    object(
        "What is done with the requests for some hosts.",
        [
            ("hosts", texts("The hosts, without a port.")),
            (
                "visibility",
                text("Who can reach it: ExternalIP (the default) or ClusterLocal."),
            ),
            ("http", object_with("The paths.", &["paths"], [("paths", paths)])),
        ],
    )
}

fn path() -> Value {
    let exact = object_with(
        "What a header must be.",
        &["exact"],
        [("exact", text("The whole value."))],
    );
    object_with(
        "Where matching requests go.",
        &["splits"],
        [
            ("path", text("What the path begins with; empty: every path.")),
            ("rewriteHost", text("The host that the backend sees instead.")),
            ("headers", map("Headers that must all match.", exact)),
            ("splits", list("The backends and their shares.", split())),
            ("appendHeaders", text_map("Headers that are set on the way.")),
        ],
    )
}

fn split() -> Value {
    object_with(
        "A backend and its share.",
        &["serviceName", "serviceNamespace", "servicePort"],
        [
            ("serviceNamespace", text("The namespace of the Service.")),
            ("serviceName", text("The name of the Service.")),
            ("servicePort", port("The port of the Service, by number or name.")),
            (
                "percent",
                json!({"description": "Its share of the requests, from 0 to 100; all of them for a single backend.", "type": "integer"}),
            ),
            (
                "appendHeaders",
                text_map("Headers that are set on the way to this backend."),
            ),
        ],
    )
}

fn tls() -> Value {
    object(
        "A certificate for some hosts.",
        [
            ("hosts", texts("The hosts it is for.")),
            ("secretName", text("The Secret that holds it.")),
            ("secretNamespace", text("The namespace of the Secret.")),
        ],
    )
}

fn load_balancer(doc: &str) -> Value {
    let address = object(
        "One address of a gateway.",
        [
            ("ip", text("An IP address.")),
            ("domain", text("A name in the public DNS.")),
            ("domainInternal", text("A name in the DNS of the cluster.")),
            (
                "meshOnly",
                boolean("Whether it is reached by the address of the Service itself."),
            ),
        ],
    );
    object(doc, [("ingress", list("The addresses.", address))])
}

pub(super) fn serverless_service() -> Value {
    let spec = object_with(
        "Who is behind the public Service.",
        &["objectRef", "protocolType"],
        [
            (
                "mode",
                text("Who is behind the public Service: the pods (Serve) or the activators (Proxy)."),
            ),
            ("objectRef", target("What has the pods.")),
            ("protocolType", text("http1 or h2c.")),
            ("numActivators", int32("How many activators serve it; 0: all.")),
        ],
    );
    let status = status::with([
        ("serviceName", text("The public Service.")),
        ("privateServiceName", text("The Service of the pods themselves.")),
    ]);
    kind("The Services of one Revision.", spec, Some(status))
}

pub(super) fn certificate() -> Value {
    let spec = object_with(
        "For which names, and where it is put.",
        &["dnsNames", "secretName"],
        [
            (
                "dnsNames",
                texts("The names that it covers; `*` may stand for the first label."),
            ),
            ("domain", text("The domain to which the names belong.")),
            ("secretName", text("The Secret into which it is put.")),
        ],
    );
    let challenge = object(
        "One question of the issuer.",
        [
            ("url", text("The URL that is asked.")),
            ("serviceName", text("The Service that answers.")),
            ("serviceNamespace", text("The namespace of that Service.")),
            ("servicePort", port("The port of that Service.")),
        ],
    );
    let mut not_after = text("When the certificate expires.");
    set(&mut not_after, "format", "date-time".into());
    let status = status::with([
        ("notAfter", not_after),
        (
            "http01Challenges",
            list("What must be answered before the certificate is issued.", challenge),
        ),
    ]);
    kind("A TLS certificate that is wanted.", spec, Some(status))
}

pub(super) fn cluster_domain_claim() -> Value {
    let spec = object_with(
        "Who may use the domain.",
        &["namespace"],
        [("namespace", text("The namespace that may use it."))],
    );
    kind("Gives the domain that is its name to a namespace.", spec, None)
}
