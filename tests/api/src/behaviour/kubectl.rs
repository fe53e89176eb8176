// SPDX-License-Identifier: Apache-2.0
//! kubectl itself: what people type, against both servers.
//!
//! Depends on: place.

use anyhow::{Result, ensure};
use serde_json::json;

use super::natives::SERVICES;
use super::place::{self, DEPLOYMENTS, Kind, MAPS, Place, REVISIONS, Scenario, same};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "kubectl_applies_shows_changes_and_deletes",
        check: kubectl_applies_shows_changes_and_deletes,
    },
    Scenario {
        name: "kubectl_edits",
        check: kubectl_edits,
    },
    Scenario {
        name: "kubectl_scales_and_waits",
        check: kubectl_scales_and_waits,
    },
    Scenario {
        name: "kubectl_shows_knatives_kinds",
        check: kubectl_shows_knatives_kinds,
    },
    Scenario {
        name: "kubectl_creates_from_words",
        check: kubectl_creates_from_words,
    },
];

const MAP: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: k, labels: {l: m}}\ndata: {a: '1'}\n";
const DEPLOYMENT: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec:\n  replicas: 1\n  selector: {matchLabels: {app: d}}\n  template:\n    metadata: {labels: {app: d}}\n    spec: {containers: [{name: c, image: i}]}\n";

fn says(place: &Place, arguments: &[&str], input: &str, expected: &str) -> Result<()> {
    let said = place.kubectl(arguments, input)?;
    ensure!(
        said.contains(expected),
        "kubectl {arguments:?} says {said:?}, without {expected:?}"
    );
    Ok(())
}

fn kubectl_applies_shows_changes_and_deletes(place: &Place) -> Result<()> {
    let apply = ["apply", "-f", "-"];
    says(place, &apply, MAP, "configmap/k created")?;
    says(place, &apply, MAP, "configmap/k unchanged")?;
    says(place, &apply, &MAP.replace("'1'", "'2'"), "configmap/k configured")?;
    says(place, &["create", "-f", "-"], MAP, "(AlreadyExists)")?;
    let other = ["apply", "--server-side", "--field-manager=other", "-f", "-"];
    says(
        place,
        &other,
        MAP,
        "conflict with \"kubectl-client-side-apply\" using v1: .data.a",
    )?;
    says(
        place,
        &["apply", "--server-side", "-f", "-"],
        MAP,
        "configmap/k serverside-applied",
    )?;
    let force = ["apply", "--server-side", "--force-conflicts", "-f", "-"];
    says(place, &force, MAP, "configmap/k serverside-applied")?;
    says(place, &["get", "cm", "-l", "l=m", "-o", "name"], "", "configmap/k")?;
    says(place, &["describe", "cm", "k"], "", "Labels:       l=m")?;
    let patch = [
        "patch",
        "cm",
        "k",
        "--type=json",
        "-p",
        "[{\"op\":\"remove\",\"path\":\"/data/a\"}]",
    ];
    says(place, &patch, "", "configmap/k patched")?;
    says(place, &["delete", "cm", "k"], "", "configmap \"k\" deleted")?;
    says(place, &["get", "cm", "k"], "", "configmaps \"k\" not found")
}

fn kubectl_edits(place: &Place) -> Result<()> {
    says(place, &["apply", "-f", "-"], MAP, "created")?;
    says(place, &["edit", "cm", "k"], "", "configmap/k edited")?;
    same("data", &place.get(MAPS, "k")?.body["data"], json!({"a": "edited"}))
}

fn kubectl_scales_and_waits(place: &Place) -> Result<()> {
    says(place, &["create", "-f", "-"], DEPLOYMENT, "deployment.apps/d created")?;
    says(
        place,
        &["scale", "deployment", "d", "--replicas=3"],
        "",
        "deployment.apps/d scaled",
    )?;
    says(
        place,
        &["set", "image", "deployment/d", "c=j"],
        "",
        "deployment.apps/d image updated",
    )?;
    let stored = place.get(DEPLOYMENTS, "d")?.body;
    same("replicas", &stored["spec"]["replicas"], 3)?;
    same(
        "image",
        &stored["spec"]["template"]["spec"]["containers"][0]["image"],
        "j",
    )?;
    let wait = [
        "wait",
        "--for=jsonpath={.spec.replicas}=3",
        "deployment/d",
        "--timeout=10s",
    ];
    says(place, &wait, "", "condition met")?;
    says(
        place,
        &["delete", "deployment", "d"],
        "",
        "deployment.apps \"d\" deleted",
    )?;
    place.gone(DEPLOYMENTS, "d")
}

/// These send protobuf.
fn kubectl_shows_knatives_kinds(place: &Place) -> Result<()> {
    let pod = json!({"containers": [{"image": "example.com/app"}]});
    for name in ["a", "b"] {
        let service = json!({
            "apiVersion": "serving.knative.dev/v1", "kind": "Service", "metadata": {"name": name},
            "spec": {"template": {"spec": pod}},
        });
        place.create(place::SERVICES, &service)?;
    }
    let revision = json!({
        "apiVersion": "serving.knative.dev/v1", "kind": "Revision", "metadata": {"name": "a-00001"},
        "spec": pod,
    });
    place.create(REVISIONS, &revision)?;
    let ready = |status: &str, reason: &str| json!([{"type": "Ready", "status": status, "reason": reason}]);
    let of_service = json!({"status": {
        "url": "http://a.example.com", "latestCreatedRevisionName": "a-00002", "latestReadyRevisionName": "a-00001",
        "conditions": ready("False", "RevisionMissing"),
    }});
    let of_revision = json!({"status": {
        "actualReplicas": 2, "desiredReplicas": 0, "conditions": ready("Unknown", "Deploying"),
    }});
    for (kind, at, status) in [
        (place::SERVICES, "/a/status", of_service),
        (REVISIONS, "/a-00001/status", of_revision),
    ] {
        let written = place.patch("merge-patch+json", kind, at, &status)?;
        ensure!(written.code == 200, "{}", written.body);
    }
    for (kind, expected) in [
        (
            "ksvc",
            [
                "NAME URL LATESTCREATED LATESTREADY READY REASON",
                "a http://a.example.com a-00002 a-00001 False RevisionMissing",
                "b",
            ]
            .as_slice(),
        ),
        (
            "revision",
            &[
                "NAME CONFIG NAME GENERATION READY REASON ACTUAL REPLICAS DESIRED REPLICAS",
                "a-00001 Unknown Deploying 2 0",
            ],
        ),
    ] {
        let said = place.kubectl(&["get", kind], "")?;
        let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        let lines: Vec<String> = said.lines().map(words).collect();
        ensure!(lines == expected, "{said}");
    }
    Ok(())
}

fn kubectl_creates_from_words(place: &Place) -> Result<()> {
    let from = ["create", "configmap", "words", "--from-literal=a=1"];
    says(place, &from, "", "configmap/words created")?;
    same("data", &place.get(MAPS, "words")?.body["data"], json!({"a": "1"}))?;
    let from = ["create", "secret", "generic", "words", "--from-literal=a=1"];
    says(place, &from, "", "secret/words created")?;
    let secret = place.get(Kind("api/v1", "secrets"), "words")?.body;
    same("secret", &secret["data"], json!({"a": "MQ=="}))?;
    let from = [
        "create",
        "deployment",
        "words",
        "--image=i",
        "--replicas=0",
        "--port=80",
    ];
    says(place, &from, "", "deployment.apps/words created")?;
    let deployment = place.get(DEPLOYMENTS, "words")?.body;
    same("replicas", &deployment["spec"]["replicas"], 0)?;
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    same(
        "ports",
        &container["ports"],
        json!([{"containerPort": 80, "protocol": "TCP"}]),
    )?;
    let from = ["create", "service", "clusterip", "words", "--tcp=80:8080"];
    says(place, &from, "", "service/words created")?;
    let port = &place.get(SERVICES, "words")?.body["spec"]["ports"][0];
    same("target", &port["targetPort"], 8080)?;
    says(
        place,
        &["create", "serviceaccount", "words"],
        "",
        "serviceaccount/words created",
    )?;
    let run = ["run", "words", "--image=i", "--env=A=b", "--labels=l=m"];
    says(place, &run, "", "pod/words created")?;
    says(place, &["delete", "pod", "words", "--now"], "", "pod \"words\" deleted")
}
