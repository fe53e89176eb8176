// SPDX-License-Identifier: Apache-2.0
//! Objects of kinds that are not ours: what they are, and who serves them.
//!
//! Depends on: logic (YAML).

use logic::go::yaml::Node;
use serde_json::Value;

use super::Verdict;
use crate::kind::Kind;
use crate::names::{autoscaling, group};

/// What is said of such an object.
pub(super) struct Foreign {
    pub(super) verdict: Verdict,
    pub(super) message: String,
    pub(super) help: String,
}

/// Groups of Knative Eventing.
const EVENTING: [&str; 4] = [
    "sources.knative.dev",
    "eventing.knative.dev",
    "messaging.knative.dev",
    "flows.knative.dev",
];

pub(super) fn judge(api_version: &str, kind: &str, node: &Node) -> Foreign {
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    if EVENTING.contains(&group) {
        let server = match kind.starts_with("Kafka") {
            true => "the Kafka controller of Knative Eventing (kafka-controller) does",
            false => "the controllers of Knative Eventing (eventing-controller) do",
        };
        return Foreign {
            verdict: Verdict::Refused,
            message: format!("{group} belongs to Knative Eventing, which Sluice does not serve yet: {server}"),
            help: "install Knative Eventing for it, or leave it out".to_owned(),
        };
    }
    if kind == "PodAutoscaler" && group == group::AUTOSCALING {
        return Foreign {
            verdict: Verdict::Refused,
            message: format!("there is no kind PodAutoscaler in {api_version}"),
            help: format!(
                "write on the Service, under spec.template.metadata.annotations: {}",
                annotations(node)
            ),
        };
    }
    let same_name = Kind::ALL.into_iter().find(|ours| ours.name() == kind);
    match same_name {
        Some(ours) if group == ours.group() => Foreign {
            verdict: Verdict::Refused,
            message: format!("there is no {kind} in {api_version}"),
            help: format!("write apiVersion: {}", ours.api_version()),
        },
        _ if group.ends_with("knative.dev") => Foreign {
            verdict: Verdict::Refused,
            message: format!("there is no kind {kind} in {api_version}"),
            help: same_name
                .map(|ours| format!("write apiVersion: {}", ours.api_version()))
                .unwrap_or_default(),
        },
        _ => Foreign {
            verdict: Verdict::Skipped,
            message: format!("{kind} of {api_version} is no kind of Knative Serving: not judged"),
            help: String::new(),
        },
    }
}

/// What such an object tries to say, as annotations.
fn annotations(node: &Node) -> String {
    let metrics = node.get("spec").and_then(|spec| spec.get("metrics"));
    let metric = metrics.and_then(|metrics| metrics.items().first());
    let name = metric
        .and_then(|metric| metric.text("type"))
        .unwrap_or(autoscaling::CONCURRENCY)
        .to_lowercase();
    let of_metric = metric
        .and_then(|metric| metric.get(&name))
        .map(Node::to_json)
        .unwrap_or_default();
    let mut lines = Vec::new();
    if let Some(target) = of_metric["target"].as_f64() {
        lines.push(format!("{}: \"{target}\"", autoscaling::TARGET));
    }
    if let Some(share) = of_metric.get("targetUtilization").and_then(Value::as_f64) {
        let percent = if share <= 1.0 { share * 100.0 } else { share };
        let [key, _] = autoscaling::TARGET_UTILIZATION_PERCENTAGE;
        lines.push(format!("{key}: \"{}\"", percent.round()));
    }
    lines.push(format!("{}: {name}", autoscaling::METRIC));
    lines.join(", ")
}
