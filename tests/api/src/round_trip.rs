// SPDX-License-Identifier: Apache-2.0
//! What our types write the server stores, and what it stores they read: no field is lost on either way.
//!
//! Depends on: rig, samples.

use anyhow::Result;
use api::certificate::Certificate;
use api::cluster_domain_claim::ClusterDomainClaim;
use api::configuration::Configuration;
use api::domain_mapping::DomainMapping;
use api::image::Image;
use api::ingress::Ingress;
use api::json::written;
use api::kind::Kind;
use api::metric::Metric;
use api::pod_autoscaler::PodAutoscaler;
use api::revision::Revision;
use api::route::Route;
use api::serverless_service::ServerlessService;
use api::service::Service;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::Case;
use crate::rig::{Place, check_equal};
use crate::samples::{sample, status};

pub(crate) const CASES: &[Case] = &[Case {
    name: "an_object_of_each_kind_comes_back_as_it_was",
    check: an_object_of_each_kind_comes_back_as_it_was,
}];

fn an_object_of_each_kind_comes_back_as_it_was(place: &Place) -> Result<()> {
    Kind::ALL.into_iter().try_for_each(|kind| match kind {
        Kind::Service => round_trip::<Service>(place, kind),
        Kind::Configuration => round_trip::<Configuration>(place, kind),
        Kind::Revision => round_trip::<Revision>(place, kind),
        Kind::Route => round_trip::<Route>(place, kind),
        Kind::DomainMapping => round_trip::<DomainMapping>(place, kind),
        Kind::PodAutoscaler => round_trip::<PodAutoscaler>(place, kind),
        Kind::Metric => round_trip::<Metric>(place, kind),
        Kind::Ingress => round_trip::<Ingress>(place, kind),
        Kind::ServerlessService => round_trip::<ServerlessService>(place, kind),
        Kind::Certificate => round_trip::<Certificate>(place, kind),
        Kind::ClusterDomainClaim => round_trip::<ClusterDomainClaim>(place, kind),
        Kind::Image => round_trip::<Image>(place, kind),
    })
}

fn round_trip<T: DeserializeOwned + Serialize>(place: &Place, kind: Kind) -> Result<()> {
    let whole = sample(kind);
    let through_types = written(&serde_json::from_value::<T>(whole.clone())?)?;
    check_equal(kind.name(), &through_types["spec"], &whole["spec"])?;
    let mut stored = place.create(&through_types)?;
    check_equal(kind.name(), &stored["spec"], &whole["spec"])?;
    if kind == Kind::ClusterDomainClaim {
        return Ok(());
    }
    stored["status"] = status(kind);
    let typed: T = serde_json::from_value(stored)?;
    place.replace_status(&written(&typed)?)?;
    let name = whole["metadata"]["name"].as_str().unwrap_or_default();
    let read: T = serde_json::from_value(place.get(kind, name)?)?;
    let again: Value = written(&read)?;
    check_equal(kind.name(), &again["status"], &status(kind))?;
    check_equal(kind.name(), &again["spec"], &whole["spec"])
}
