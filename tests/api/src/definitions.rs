// SPDX-License-Identifier: Apache-2.0
//! Names, columns and what else a definition promises.
//!
//! Depends on: rig, samples.

use anyhow::{Context, Result, ensure};
use api::kind::Kind;
use serde_json::{Value, json};

use crate::Case;
use crate::rig::{Place, check_equal, resource};
use crate::samples::sample;

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "every_kind_is_established",
        check: every_kind_is_established,
    },
    Case {
        name: "short_names_categories_and_status_are_discovered",
        check: short_names_categories_and_status_are_discovered,
    },
    Case {
        name: "kubectl_get_ksvc_shows_what_knative_shows",
        check: kubectl_get_ksvc_shows_what_knative_shows,
    },
    Case {
        name: "every_kind_has_its_columns",
        check: every_kind_has_its_columns,
    },
    Case {
        name: "kubectl_explains_fields",
        check: kubectl_explains_fields,
    },
];

fn every_kind_is_established(place: &Place) -> Result<()> {
    for kind in Kind::ALL {
        let name = format!("{}.{}", kind.plural(), kind.group());
        let definition = place.raw(&format!(
            "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}"
        ))?;
        let conditions = definition["status"]["conditions"].as_array().context("no conditions")?;
        let holds = |kind: &str| {
            conditions
                .iter()
                .any(|condition| condition["type"] == kind && condition["status"] == "True")
        };
        ensure!(holds("Established") && holds("NamesAccepted"), "{name}: {conditions:?}");
        ensure!(!holds("NonStructuralSchema"), "{name}: {conditions:?}");
        check_equal(&name, &definition["status"]["storedVersions"], &json!([kind.version()]))?;
        ensure!(
            definition["spec"]["conversion"]["strategy"] == "None",
            "{name} is converted"
        );
    }
    Ok(())
}

fn short_names_categories_and_status_are_discovered(place: &Place) -> Result<()> {
    for kind in Kind::ALL {
        let served = place.raw(&format!("/apis/{}", kind.api_version()))?;
        let resources = served["resources"].as_array().context("no resources")?;
        let find = |name: &str| resources.iter().find(|resource| resource["name"] == name);
        let found = find(kind.plural()).with_context(|| format!("{} is not served", kind.plural()))?;
        let short = if kind.short_names().is_empty() {
            Value::Null
        } else {
            kind.short_names().into()
        };
        check_equal(kind.name(), &found["shortNames"], &short)?;
        check_equal(kind.name(), &found["namespaced"], &kind.is_namespaced().into())?;
        let has_status = find(&format!("{}/status", kind.plural())).is_some();
        ensure!(has_status == (kind != Kind::ClusterDomainClaim), "{}", kind.name());
        ensure!(find(&format!("{}/scale", kind.plural())).is_none(), "{}", kind.name());
    }
    for category in [
        "all",
        "knative",
        "serving",
        "knative-internal",
        "networking",
        "autoscaling",
        "caching",
    ] {
        place.kubectl(&["get", category])?;
    }
    Ok(())
}

fn kubectl_get_ksvc_shows_what_knative_shows(place: &Place) -> Result<()> {
    let mut service = place.create(&sample(Kind::Service))?;
    service["status"] = json!({
        "url": "http://full.example.com",
        "latestCreatedRevisionName": "full-00002",
        "latestReadyRevisionName": "full-00001",
        "conditions": [{"type": "Ready", "status": "False", "reason": "RevisionFailed"}],
    });
    place.replace_status(&service)?;
    let shown = place.kubectl(&["get", "ksvc"])?;
    let rows: Vec<Vec<_>> = shown.lines().map(|line| line.split_whitespace().collect()).collect();
    let expected = vec![
        vec!["NAME", "URL", "LATESTCREATED", "LATESTREADY", "READY", "REASON"],
        vec![
            "full",
            "http://full.example.com",
            "full-00002",
            "full-00001",
            "False",
            "RevisionFailed",
        ],
    ];
    ensure!(rows == expected, "{shown}");
    Ok(())
}

fn columns(kind: Kind) -> &'static str {
    match kind {
        Kind::Service => "NAME URL LATESTCREATED LATESTREADY READY REASON",
        Kind::Configuration => "NAME LATESTCREATED LATESTREADY READY REASON",
        Kind::Revision => "NAME CONFIG NAME GENERATION READY REASON ACTUAL REPLICAS DESIRED REPLICAS",
        Kind::Route | Kind::DomainMapping => "NAME URL READY REASON",
        Kind::PodAutoscaler => "NAME DESIREDSCALE ACTUALSCALE READY REASON",
        Kind::Metric | Kind::Ingress | Kind::Certificate => "NAME READY REASON",
        Kind::ServerlessService => "NAME MODE ACTIVATORS SERVICENAME PRIVATESERVICENAME READY REASON",
        Kind::ClusterDomainClaim => "NAME AGE",
        Kind::Image => "NAME IMAGE",
    }
}

fn every_kind_has_its_columns(place: &Place) -> Result<()> {
    for kind in Kind::ALL {
        let mut object = sample(kind);
        object["metadata"]["name"] = place.namespace().replace("every", "any").into();
        place.create(&object)?;
        let shown = place.kubectl(&["get", &resource(kind)])?;
        let heading: Vec<_> = shown.lines().next().unwrap_or_default().split_whitespace().collect();
        ensure!(heading.join(" ") == columns(kind), "{}: {shown}", kind.name());
    }
    Ok(())
}

fn kubectl_explains_fields(place: &Place) -> Result<()> {
    let explained = place.kubectl(&["explain", "ksvc.spec.template.spec.containerConcurrency"])?;
    ensure!(explained.contains("no limit"), "{explained}");
    let gated = place.kubectl(&["explain", "ksvc.spec.template.spec.tolerations"])?;
    ensure!(gated.contains("kubernetes.podspec-tolerations"), "{gated}");
    Ok(())
}
