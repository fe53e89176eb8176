// SPDX-License-Identifier: Apache-2.0
//! The HorizontalPodAutoscaler of a PodAutoscaler of the HPA class: data-plane spec 1.15.
//!
//! Mechanism: what is decided is `logic`'s; this is its form in autoscaling/v2.
//! Invariants: name, labels and annotations are the PodAutoscaler's, its target is the one it scales.
//! Depends on: api, annotations, logic::kpa.

use api::pod_autoscaler::PodAutoscaler;
use k8s_openapi::api::autoscaling::v2::{
    CrossVersionObjectReference, HPAScalingRules, HorizontalPodAutoscaler, HorizontalPodAutoscalerBehavior,
    HorizontalPodAutoscalerSpec, MetricIdentifier, MetricSpec, MetricTarget, PodsMetricSource, ResourceMetricSource,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use logic::kpa::hpa::Source;
use logic::kpa::{Config, Hpa};

use super::annotations;

/// What shall be.
#[must_use]
pub fn desired(scaling: &PodAutoscaler, config: &Config) -> HorizontalPodAutoscaler {
    let decided = Hpa::of(
        &annotations::read(scaling),
        annotations::metric_of_hpa(scaling),
        annotations::reachability(scaling),
        config,
    );
    let target = &scaling.spec.scale_target_ref;
    HorizontalPodAutoscaler {
        metadata: ObjectMeta {
            name: scaling.metadata.name.clone(),
            namespace: scaling.metadata.namespace.clone(),
            labels: scaling.metadata.labels.clone(),
            annotations: scaling.metadata.annotations.clone(),
            owner_references: Some(vec![scaling.controller_reference()]),
            ..ObjectMeta::default()
        },
        spec: Some(HorizontalPodAutoscalerSpec {
            scale_target_ref: CrossVersionObjectReference {
                api_version: target.api_version.clone(),
                kind: target.kind.clone().unwrap_or_default(),
                name: target.name.clone().unwrap_or_default(),
            },
            min_replicas: decided.min_replicas,
            max_replicas: decided.max_replicas,
            metrics: decided.metric.as_ref().map(|source| vec![metric(source)]),
            behavior: decided.stabilization_seconds.map(behavior),
        }),
        status: None,
    }
}

fn metric(source: &Source) -> MetricSpec {
    match source {
        Source::Cpu(percent) => resource("cpu", utilization(*percent)),
        Source::Memory(bytes) => resource("memory", average(&format!("{}Mi", bytes >> 20))),
        Source::Pods(name, value) => MetricSpec {
            type_: "Pods".to_owned(),
            pods: Some(PodsMetricSource {
                metric: MetricIdentifier {
                    name: name.clone(),
                    selector: None,
                },
                target: average(&value.to_string()),
            }),
            ..MetricSpec::default()
        },
    }
}

fn resource(name: &str, target: MetricTarget) -> MetricSpec {
    MetricSpec {
        type_: "Resource".to_owned(),
        resource: Some(ResourceMetricSource {
            name: name.to_owned(),
            target,
        }),
        ..MetricSpec::default()
    }
}

fn utilization(percent: i32) -> MetricTarget {
    MetricTarget {
        type_: "Utilization".to_owned(),
        average_utilization: Some(percent),
        ..MetricTarget::default()
    }
}

fn average(value: &str) -> MetricTarget {
    MetricTarget {
        type_: "AverageValue".to_owned(),
        average_value: Some(Quantity(value.to_owned())),
        ..MetricTarget::default()
    }
}

fn behavior(seconds: i32) -> HorizontalPodAutoscalerBehavior {
    let rules = HPAScalingRules {
        stabilization_window_seconds: Some(seconds),
        ..HPAScalingRules::default()
    };
    HorizontalPodAutoscalerBehavior {
        scale_down: Some(rules.clone()),
        scale_up: Some(rules),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn made(annotations: &Value) -> Value {
        let scaling: PodAutoscaler = serde_json::from_value(json!({
            "metadata": {"name": "hello-00001", "namespace": "default", "annotations": annotations},
            "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "hello-00001-deployment"}},
        }))
        .unwrap();
        serde_json::to_value(desired(&scaling, &Config::default())).unwrap()["spec"].take()
    }

    #[test]
    fn without_a_target_kubernetes_scales_by_its_own_default() {
        let expected = json!({
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "hello-00001-deployment"},
            "maxReplicas": i32::MAX,
        });
        assert_eq!(made(&json!({})), expected);
    }

    #[test]
    fn cpu_is_a_share_and_the_window_holds_both_ways() {
        let spec = made(&json!({
            "autoscaling.knative.dev/metric": "cpu",
            "autoscaling.knative.dev/target": "62.5",
            "autoscaling.knative.dev/min-scale": "2",
            "autoscaling.knative.dev/max-scale": "9",
            "autoscaling.knative.dev/window": "90s",
        }));
        let cpu = json!({"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 63}});
        assert_eq!(spec["metrics"], json!([{"type": "Resource", "resource": cpu}]));
        assert_eq!((&spec["minReplicas"], &spec["maxReplicas"]), (&json!(2), &json!(9)));
        for direction in ["scaleUp", "scaleDown"] {
            assert_eq!(spec["behavior"][direction]["stabilizationWindowSeconds"], json!(90));
        }
    }

    #[test]
    fn memory_is_an_amount_and_anything_else_a_figure_of_the_pods() {
        let memory = made(&json!({
            "autoscaling.knative.dev/metric": "memory",
            "autoscaling.knative.dev/target": "200",
        }));
        assert_eq!(memory["metrics"][0]["resource"]["target"]["averageValue"], "200Mi");
        let own = made(&json!({
            "autoscaling.knative.dev/metric": "queue-length",
            "autoscaling.knative.dev/target": "7.9",
        }));
        assert_eq!(own["metrics"][0]["pods"]["metric"]["name"], "queue-length");
        assert_eq!(own["metrics"][0]["pods"]["target"]["averageValue"], "7");
    }
}
