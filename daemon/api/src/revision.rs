// SPDX-License-Identifier: Apache-2.0
//! Revision: one immutable version of a workload; control-plane spec 1.3.
//!
//! Its spec is a PodSpec with four fields of its own beside the PodSpec's.
//! Invariants: a spec that was read has canonical quantities.
//! Depends on: json, k8s-openapi.

pub(crate) mod defaults;
pub mod desired;
pub mod routing_state;
pub mod status;
pub(crate) mod validation;

use k8s_openapi::api::core::v1::PodSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::condition::Observed;
use crate::json::{canonical_quantities, is_empty, or_default, same_amounts};
use crate::kind::Kind;
use crate::object::{Object, Spec};

/// One version of a workload.
pub type Revision = Object<RevisionSpec, RevisionStatus>;

/// What a Revision is made from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RevisionTemplateSpec {
    /// Labels, annotations and perhaps the name of the Revision.
    #[serde(default, deserialize_with = "or_default")]
    pub metadata: ObjectMeta,
    /// The Revision's spec.
    #[serde(default, deserialize_with = "or_default")]
    pub spec: RevisionSpec,
}

/// A pod, and how requests reach it; equal are quantities of the same amount (`1Gi` and `1024Mi`), as in Kubernetes.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RevisionSpec {
    /// The pod, inlined.
    #[serde(flatten)]
    pub pod: PodSpec,
    /// Requests at once in one pod; 0: no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container_concurrency: Option<i64>,
    /// A whole request may take this many seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<i64>,
    /// The first byte of the answer may take this many seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_start_timeout_seconds: Option<i64>,
    /// A request may go this many seconds without a byte.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_timeout_seconds: Option<i64>,
}

impl PartialEq for RevisionSpec {
    fn eq(&self, other: &Self) -> bool {
        let limits = |spec: &Self| {
            (
                spec.container_concurrency,
                spec.timeout_seconds,
                spec.response_start_timeout_seconds,
                spec.idle_timeout_seconds,
            )
        };
        limits(self) == limits(other) && (self.pod == other.pod || is_same_pod(&self.pod, &other.pod))
    }
}

fn is_same_pod(pod: &PodSpec, other: &PodSpec) -> bool {
    match (serde_json::to_value(pod), serde_json::to_value(other)) {
        (Ok(pod), Ok(other)) => same_amounts(&pod, &other),
        _ => false,
    }
}

impl<'de> Deserialize<'de> for RevisionSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut value = Value::deserialize(deserializer)?;
        canonical_quantities(&mut value).map_err(D::Error::custom)?;
        let limits = Limits::deserialize(&value).map_err(D::Error::custom)?;
        let pod = PodSpec::deserialize(value).map_err(D::Error::custom)?;
        Ok(Self {
            pod,
            container_concurrency: limits.container_concurrency,
            timeout_seconds: limits.timeout_seconds,
            response_start_timeout_seconds: limits.response_start_timeout_seconds,
            idle_timeout_seconds: limits.idle_timeout_seconds,
        })
    }
}

/// What a Revision's spec has beside the pod.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Limits {
    container_concurrency: Option<i64>,
    timeout_seconds: Option<i64>,
    response_start_timeout_seconds: Option<i64>,
    idle_timeout_seconds: Option<i64>,
}

impl Spec for RevisionSpec {
    const KIND: Kind = Kind::Revision;
}

/// How the workload is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RevisionStatus {
    /// Generation and conditions.
    #[serde(flatten)]
    pub observed: Observed,
    /// Where its logs are.
    #[serde(default, skip_serializing_if = "is_empty", deserialize_with = "or_default")]
    pub log_url: String,
    /// The digests of its images, in the order of the containers.
    #[serde(default, skip_serializing_if = "is_empty", deserialize_with = "or_default")]
    pub container_statuses: Vec<ContainerStatus>,
    /// The digests of its init images, in the order of the containers.
    #[serde(default, skip_serializing_if = "is_empty", deserialize_with = "or_default")]
    pub init_container_statuses: Vec<ContainerStatus>,
    /// Pods that are ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actual_replicas: Option<i32>,
    /// Pods that are wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub desired_replicas: Option<i32>,
}

/// The image that a container runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ContainerStatus {
    /// The name of the container.
    #[serde(default, skip_serializing_if = "is_empty", deserialize_with = "or_default")]
    pub name: String,
    /// The image by digest; empty where none is looked up.
    #[serde(default, skip_serializing_if = "is_empty", deserialize_with = "or_default")]
    pub image_digest: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_amount_spelt_otherwise_is_no_change() {
        let spec = |memory: &str, image: &str| -> RevisionSpec {
            let resources = json!({"limits": {"memory": memory}});
            serde_json::from_value(json!({"containers": [{"image": image, "resources": resources}]})).unwrap()
        };
        assert_eq!(spec("1Gi", "a"), spec("1073741824", "a"));
        assert_ne!(spec("1Gi", "a"), spec("1G", "a"));
        assert_ne!(spec("1Gi", "1k"), spec("1073741824", "1000"));
    }
}
