// SPDX-License-Identifier: Apache-2.0
//! `kinds`: what Knative can decode we decode, and what it wrote we write again as it was.
//!
//! Depends on: compare, data, report.

use crate::compare::difference;
use crate::data::Case;
use crate::report::Verdict;
use api::certificate::Certificate;
use api::configuration::Configuration;
use api::domain_mapping::DomainMapping;
use api::ingress::Ingress;
use api::json::written_after;
use api::metric::Metric;
use api::pod_autoscaler::PodAutoscaler;
use api::revision::Revision;
use api::route::Route;
use api::serverless_service::ServerlessService;
use api::service::Service;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Whether the object is decoded as Knative does and its result written as Knative does.
pub(crate) fn judge(case: &Case) -> Verdict {
    let round_trip = match case.kind() {
        "Service" => again::<Service>,
        "Configuration" => again::<Configuration>,
        "Revision" => again::<Revision>,
        "Route" => again::<Route>,
        "DomainMapping" => again::<DomainMapping>,
        "PodAutoscaler" => again::<PodAutoscaler>,
        "Metric" => again::<Metric>,
        "Ingress" => again::<Ingress>,
        "ServerlessService" => again::<ServerlessService>,
        "Certificate" => again::<Certificate>,
        other => return Err(format!("no such kind: {other}")),
    };
    let object = &case.value["object"];
    let is_decoded = object.is_null() || round_trip(object).is_ok();
    let may_be_decoded = !is_text_with(&case.value["error"], "cannot decode");
    if is_decoded != may_be_decoded {
        return Err(format!("decoded: expected {may_be_decoded}, got {is_decoded}"));
    }
    let defaulted = &case.value["defaulted_object"];
    if defaulted.is_null() {
        return Ok(());
    }
    match difference(defaulted, &round_trip(defaulted)?) {
        None => Ok(()),
        Some(difference) => Err(difference),
    }
}

fn is_text_with(value: &Value, part: &str) -> bool {
    value.as_str().is_some_and(|text| text.contains(part))
}

fn again<T: DeserializeOwned + Serialize>(object: &Value) -> Result<Value, String> {
    let typed: T = serde_json::from_value(object.clone()).map_err(|error| error.to_string())?;
    written_after(&typed, object).map_err(|error| error.to_string())
}
