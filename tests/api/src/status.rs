// SPDX-License-Identifier: Apache-2.0
//! The status is a subresource: who writes the one does not touch the other.
//!
//! Depends on: rig, samples.

use anyhow::{Result, ensure};
use api::kind::Kind;
use serde_json::{Value, json};

use crate::Case;
use crate::rig::{Place, check_equal};
use crate::samples::sample;

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "a_status_is_written_by_its_own_path_only",
        check: a_status_is_written_by_its_own_path_only,
    },
    Case {
        name: "only_the_spec_raises_the_generation",
        check: only_the_spec_raises_the_generation,
    },
    Case {
        name: "the_services_of_a_podautoscaler_are_required",
        check: the_services_of_a_podautoscaler_are_required,
    },
];

fn a_status_is_written_by_its_own_path_only(place: &Place) -> Result<()> {
    let mut route = sample(Kind::Route);
    route["status"] = json!({"url": "http://user.example.com"});
    let stored = place.create(&route)?;
    check_equal("status after create", &stored["status"], &Value::Null)?;
    let url = json!({"spec": {"traffic": []}, "status": {"url": "http://a.example.com"}});
    let stored = place.patch(Kind::Route, "full", &url, true)?;
    check_equal("url", &stored["status"]["url"], &json!("http://a.example.com"))?;
    check_equal("spec", &stored["spec"], &route["spec"])?;
    let stored = place.patch(
        Kind::Route,
        "full",
        &json!({"status": {"url": "http://b.example.com"}}),
        false,
    )?;
    check_equal("url", &stored["status"]["url"], &json!("http://a.example.com"))
}

fn only_the_spec_raises_the_generation(place: &Place) -> Result<()> {
    place.create(&sample(Kind::Ingress))?;
    let observed = json!({"status": {"observedGeneration": 7}});
    let stored = place.patch(Kind::Ingress, "full", &observed, true)?;
    check_equal("generation", &stored["metadata"]["generation"], &json!(1))?;
    let annotated = json!({"metadata": {"annotations": {"a": "b"}}});
    let stored = place.patch(Kind::Ingress, "full", &annotated, false)?;
    check_equal("generation", &stored["metadata"]["generation"], &json!(1))?;
    let changed = json!({"spec": {"httpOption": "Enabled"}});
    let stored = place.patch(Kind::Ingress, "full", &changed, false)?;
    check_equal("generation", &stored["metadata"]["generation"], &json!(2))
}

fn the_services_of_a_podautoscaler_are_required(place: &Place) -> Result<()> {
    place.create(&sample(Kind::PodAutoscaler))?;
    let change = |status: Value| place.patch(Kind::PodAutoscaler, "full", &json!({"status": status}), true);
    let Err(refused) = change(json!({"desiredScale": 1})) else {
        anyhow::bail!("a status without the Services was stored");
    };
    ensure!(
        refused.to_string().contains("status.serviceName: Required value"),
        "{refused}"
    );
    change(json!({"serviceName": "", "metricsServiceName": ""})).map(drop)
}
