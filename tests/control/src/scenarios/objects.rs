// SPDX-License-Identifier: Apache-2.0
//! What a Service becomes, and how it goes.
//!
//! Depends on: place.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::{hello, image, scenarios};
use crate::place::{Place, entry, state, text};

scenarios!(
    a_service_becomes_its_objects_with_the_right_owners,
    a_service_is_ready_when_everything_below_it_is,
    traffic_moves_when_the_new_revision_is_ready,
    annotations_of_a_revision_reach_its_autoscaler,
    edits_of_children_are_undone,
    a_pod_spec_that_a_real_server_takes,
    a_service_takes_everything_with_it: needs_collector,
);

/// The owner that controls an object, by kind and name.
fn owner(object: &Value) -> (&str, &str) {
    let owner = &object["metadata"]["ownerReferences"][0];
    match owner["controller"] == true && owner["blockOwnerDeletion"] == true {
        true => (text(owner, "/kind"), text(owner, "/name")),
        false => ("", ""),
    }
}

async fn a_service_becomes_its_objects_with_the_right_owners(place: Place) -> Result<()> {
    let class = api::names::product::INGRESS_CLASS;
    place
        .configure("config-network", &json!({"ingress-class": class}))
        .await?;
    place.create("ksvc", &hello("hello", "dev.local/app:a")).await?;
    place.ready("ksvc", "hello").await?;
    let service = ("Service", "hello");
    let (revision, route) = (("Revision", "hello-00001"), ("Route", "hello"));
    for (kind, name, wanted) in [
        ("configuration", "hello", service),
        ("route", "hello", service),
        ("revision", "hello-00001", ("Configuration", "hello")),
        ("deployment", "hello-00001-deployment", revision),
        ("pa", "hello-00001", revision),
        ("image", "hello-00001-cache-user-container", revision),
        ("ingress", "hello", route),
        ("service", "hello", route),
    ] {
        let found = place.get(kind, name).await?;
        ensure!(owner(&found) == wanted, "{kind} {name} is of {:?}", owner(&found));
    }
    let slice = "hello-gateway-ipv4-8080";
    let led = |to: &'static str| move |slice: &Value| text(slice, "/endpoints/0/addresses/0") == to;
    let found = place
        .eventually("slice", slice, "leads to the gateway", led("10.1.2.3"))
        .await?;
    ensure!(owner(&found) == service && entry(&found, "labels", "kubernetes.io/service-name") == "hello");
    place.move_gateways(&["10.9.9.9:8080"]);
    place
        .eventually("slice", slice, "follows the gateway", led("10.9.9.9"))
        .await?;
    let placeholder = place.get("service", "hello").await?;
    ensure!(text(&placeholder, "/spec/type") != "ExternalName", "{placeholder}");
    ensure!(placeholder["spec"]["selector"].is_null(), "{placeholder}");
    for (reason, message) in [
        ("Created", "Created Configuration \"hello\""),
        ("Created", "Created Route \"hello\""),
        ("Created", "Created Revision \"hello-00001\""),
        ("Created", "Created placeholder service \"hello\""),
        ("RevisionReady", "Revision becomes ready upon all resources being ready"),
        ("ConfigurationReady", "Configuration becomes ready"),
        ("FinalizerUpdate", "Updated \"hello\" finalizers"),
    ] {
        super::told(&place, reason, message).await?;
    }
    Ok(())
}

async fn a_service_is_ready_when_everything_below_it_is(place: Place) -> Result<()> {
    for kind in ["Deployment", "PodAutoscaler", "Ingress"] {
        place.world().hold(kind, "");
    }
    place.create("ksvc", &hello("hello", "dev.local/app:a")).await?;
    place
        .condition("revision", "hello-00001", "Ready", ("Unknown", "Deploying"))
        .await?;
    place
        .condition("route", "hello", "AllTrafficAssigned", ("Unknown", "RevisionMissing"))
        .await?;
    place
        .condition("ksvc", "hello", "ConfigurationsReady", ("Unknown", ""))
        .await?;
    place.world().release("Deployment", "");
    place
        .condition("revision", "hello-00001", "ContainerHealthy", ("True", ""))
        .await?;
    place.world().release("PodAutoscaler", "");
    let revision = place.ready("revision", "hello-00001").await?;
    ensure!(revision["status"]["actualReplicas"] == 1, "{revision}");
    place
        .condition("route", "hello", "IngressReady", ("Unknown", "Uninitialized"))
        .await
        .or(place
            .condition("route", "hello", "IngressReady", ("Unknown", "IngressNotConfigured"))
            .await)?;
    place
        .condition("ksvc", "hello", "RoutesReady", ("Unknown", "IngressNotConfigured"))
        .await?;
    place.world().release("Ingress", "");
    let service = place.ready("ksvc", "hello").await?;
    let host = format!("http://hello.{}.svc.cluster.local", place.namespace());
    ensure!(text(&service, "/status/url") == host, "{service}");
    ensure!(text(&service, "/status/address/url") == host, "{service}");
    ensure!(
        text(&service, "/status/latestReadyRevisionName") == "hello-00001",
        "{service}"
    );
    let traffic = json!([{"latestRevision": true, "percent": 100, "revisionName": "hello-00001"}]);
    ensure!(service["status"]["traffic"] == traffic, "{service}");
    Ok(())
}

async fn traffic_moves_when_the_new_revision_is_ready(place: Place) -> Result<()> {
    place.create("ksvc", &hello("hello", "dev.local/app:a")).await?;
    place.ready("ksvc", "hello").await?;
    place.world().hold("PodAutoscaler", "hello-00002");
    place.patch("ksvc", "hello", &image("dev.local/app:b")).await?;
    let waiting = |object: &Value| text(object, "/status/latestCreatedRevisionName") == "hello-00002";
    let service = place
        .eventually("ksvc", "hello", "has the new revision", waiting)
        .await?;
    ensure!(
        text(&service, "/status/traffic/0/revisionName") == "hello-00001",
        "{service}"
    );
    let backend = "/spec/rules/0/http/paths/0/splits/0/serviceName";
    let ingress = place.get("ingress", "hello").await?;
    ensure!(text(&ingress, backend) == "hello-00001", "{ingress}");
    place.world().release("PodAutoscaler", "hello-00002");
    let moved = |object: &Value| text(object, "/status/traffic/0/revisionName") == "hello-00002";
    place.eventually("ksvc", "hello", "moves", moved).await?;
    place.ready("ksvc", "hello").await?;
    let ingress = place.get("ingress", "hello").await?;
    ensure!(text(&ingress, backend) == "hello-00002", "{ingress}");
    super::told(
        &place,
        "LatestReadyUpdate",
        "LatestReadyRevisionName updated to \"hello-00002\"",
    )
    .await
}

async fn annotations_of_a_revision_reach_its_autoscaler(place: Place) -> Result<()> {
    place.create("ksvc", &hello("hello", "dev.local/app:a")).await?;
    place.ready("ksvc", "hello").await?;
    let key = "autoscaling.knative.dev/min-scale";
    let change = |value: Value| json!({"metadata": {"annotations": {(key): value}}});
    place.patch("revision", "hello-00001", &change("3".into())).await?;
    let has = |object: &Value| entry(object, "annotations", key) == "3";
    place.eventually("pa", "hello-00001", "has it", has).await?;
    place.patch("revision", "hello-00001", &change(Value::Null)).await?;
    let has_not = |object: &Value| entry(object, "annotations", key).is_empty();
    place.eventually("pa", "hello-00001", "has it no more", has_not).await?;
    let generation = place.get("deployment", "hello-00001-deployment").await?["metadata"]["generation"].clone();
    ensure!(generation == 1, "the pods are none of it");
    Ok(())
}

async fn edits_of_children_are_undone(place: Place) -> Result<()> {
    place.create("ksvc", &hello("hello", "dev.local/app:a")).await?;
    place.ready("ksvc", "hello").await?;
    let change = json!({"metadata": {"labels": {"mine": "x"}}, "spec": {"traffic": [{"revisionName": "hello-00001", "percent": 100, "latestRevision": false}]}});
    place.patch("route", "hello", &change).await?;
    let undone = |object: &Value| {
        entry(object, "labels", "mine").is_empty() && object["spec"]["traffic"][0]["revisionName"].is_null()
    };
    place.eventually("route", "hello", "is as before", undone).await?;
    let change = json!({"metadata": {"annotations": {"mine": "x"}}, "spec": {"httpOption": "Redirected"}});
    place.patch("ingress", "hello", &change).await?;
    let undone = |object: &Value| {
        object["spec"]["httpOption"] != "Redirected" && entry(object, "annotations", "mine").is_empty()
    };
    place.eventually("ingress", "hello", "is as before", undone).await?;
    place.ready("ksvc", "hello").await.map(drop)
}

async fn a_pod_spec_that_a_real_server_takes(place: Place) -> Result<()> {
    let mut service = hello("hello", "dev.local/app:a");
    service["spec"]["template"]["spec"] = json!({
        "containerConcurrency": 5, "timeoutSeconds": 60,
        "containers": [{"image": "dev.local/app:a", "ports": [{"containerPort": 9000, "name": "h2c"}],
            "resources": {"limits": {"memory": "64Mi", "cpu": "0.5"}},
            "readinessProbe": {"httpGet": {"path": "/ready"}, "periodSeconds": 1},
            "livenessProbe": {"httpGet": {"path": "/live"}},
            "volumeMounts": [{"name": "scratch", "mountPath": "/scratch"}]}],
        "volumes": [{"name": "scratch", "emptyDir": {}}],
    });
    place.create("ksvc", &service).await?;
    place.ready("ksvc", "hello").await?;
    let deployment = place.get("deployment", "hello-00001-deployment").await?;
    ensure!(
        deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] == 60,
        "{deployment}"
    );
    ensure!(
        deployment["metadata"]["generation"] == 1,
        "it is written once: {deployment}"
    );
    let ingress = place.get("ingress", "hello").await?;
    ensure!(
        ingress["spec"]["rules"][0]["http"]["paths"][0]["splits"][0]["servicePort"] == 81,
        "{ingress}"
    );
    let scaling = place.get("pa", "hello-00001").await?;
    ensure!(
        scaling["spec"]["protocolType"] == "h2c" && scaling["spec"]["containerConcurrency"] == 5,
        "{scaling}"
    );
    ensure!(state(&place.get("revision", "hello-00001").await?, "DataPath").1 == "ContainerConcurrency");
    Ok(())
}

async fn a_service_takes_everything_with_it(place: Place) -> Result<()> {
    place.create("ksvc", &hello("hello", "dev.local/app:a")).await?;
    place.ready("ksvc", "hello").await?;
    place.delete("ksvc", "hello").await?;
    for (kind, name) in [
        ("ksvc", "hello"),
        ("route", "hello"),
        ("configuration", "hello"),
        ("revision", "hello-00001"),
        ("deployment", "hello-00001-deployment"),
        ("pa", "hello-00001"),
        ("ingress", "hello"),
        ("service", "hello"),
    ] {
        place.gone(kind, name).await?;
    }
    Ok(())
}
