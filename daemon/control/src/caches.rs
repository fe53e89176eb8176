// SPDX-License-Identifier: Apache-2.0
//! The caches of every kind that a controller looks at: one watch a kind, whoever looks.
//!
//! Depends on: cache, kept, api (the kinds).

use api::names::{kubernetes, networking, serving};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::{ConfigMap, Endpoints, Pod, Secret, Service};
use k8s_openapi::api::discovery::v1::EndpointSlice;

use crate::cache::Cache;
use crate::kept::Kept;

/// A kind that has a cache.
pub trait Cached: Kept {
    /// Its cache.
    fn cache(caches: &Caches) -> &Cache<Self>;
}

macro_rules! caches {
    ($($(#[$doc:meta])* $field:ident: $kind:ty, $label:expr;)*) => {
        /// The caches; clones are the same ones.
        #[derive(Clone)]
        pub struct Caches {
            $($(#[$doc])* pub $field: Cache<$kind>,)*
        }

        impl Default for Caches {
            fn default() -> Self {
                Self { $($field: Cache::new($label),)* }
            }
        }

        impl Caches {
            /// Returns once everything that exists is in them.
            pub async fn synced(&self) {
                $(self.$field.synced().await;)*
            }
        }

        $(impl Cached for $kind {
            fn cache(caches: &Caches) -> &Cache<Self> {
                &caches.$field
            }
        })*

        /// Calls `$start` with each of the caches.
        pub(crate) trait Each {
            /// Takes one cache.
            fn one<K: Cached>(&self, cache: &Cache<K>);
        }

        impl Caches {
            /// Gives each of the caches to `each`.
            pub(crate) fn each(&self, each: &impl Each) {
                $(each.one(&self.$field);)*
            }
        }
    };
}

caches! {
    /// Knative Services.
    services: api::service::Service, None;
    /// Configurations.
    configurations: api::configuration::Configuration, None;
    /// Revisions, by Configuration.
    revisions: api::revision::Revision, Some(serving::CONFIGURATION);
    /// Routes.
    routes: api::route::Route, None;
    /// DomainMappings.
    domain_mappings: api::domain_mapping::DomainMapping, None;
    /// PodAutoscalers.
    pod_autoscalers: api::pod_autoscaler::PodAutoscaler, None;
    /// Metrics.
    metrics: api::metric::Metric, None;
    /// ServerlessServices.
    serverless_services: api::serverless_service::ServerlessService, None;
    /// Ingresses.
    ingresses: api::ingress::Ingress, None;
    /// Certificates, by Route.
    certificates: api::certificate::Certificate, Some(serving::ROUTE);
    /// Claims of domains.
    cluster_domain_claims: api::cluster_domain_claim::ClusterDomainClaim, None;
    /// Images worth having.
    images: api::image::Image, None;
    /// Deployments.
    deployments: Deployment, None;
    /// Autoscalers of Kubernetes.
    horizontal_pod_autoscalers: HorizontalPodAutoscaler, None;
    /// Pods, by UID of the Revision.
    pods: Pod, Some(serving::REVISION_UID);
    /// Kubernetes' Services, by Route.
    kubernetes_services: Service, Some(serving::ROUTE);
    /// Endpoints, by ServerlessService.
    endpoints: Endpoints, Some(networking::SERVERLESS_SERVICE);
    /// EndpointSlices, by Service.
    endpoint_slices: EndpointSlice, Some(kubernetes::SERVICE_NAME);
    /// Secrets.
    secrets: Secret, None;
    /// ConfigMaps.
    config_maps: ConfigMap, None;
}
