// SPDX-License-Identifier: Apache-2.0
//! Tags, splits, gradual rollouts, domains of one's own.
//!
//! Depends on: place.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::{hello, image, scenarios};
use crate::place::{Place, entry, message, state, text, until};

scenarios!(
    a_tag_has_a_host_and_a_service_of_its_own,
    blue_and_green_change_places_by_their_names,
    a_rollout_goes_step_by_step,
    a_target_that_is_missing_is_told_and_waited_for,
    a_domain_of_ones_own_leads_to_the_service,
    visibility_changes_the_domain,
);

async fn a_tag_has_a_host_and_a_service_of_its_own(place: Place) -> Result<()> {
    place.configure("config-domain", &json!({"example.com": ""})).await?;
    let mut service = hello("hello", "dev.local/app:a");
    service["spec"]["traffic"] = json!([{"latestRevision": true, "percent": 100, "tag": "next"}]);
    place.create("ksvc", &service).await?;
    let tagged = format!("http://next-hello.{}.example.com", place.namespace());
    let has_url = |object: &Value| text(object, "/status/traffic/0/url") == tagged;
    place
        .eventually("ksvc", "hello", "has a URL for the tag", has_url)
        .await?;
    place.ready("ksvc", "hello").await?;
    place.get("service", "next-hello").await?;
    let change = json!({"spec": {"traffic": [{"latestRevision": true, "percent": 100}]}});
    place.patch("ksvc", "hello", &change).await?;
    place.gone("service", "next-hello").await?;
    place.ready("ksvc", "hello").await.map(drop)
}

async fn blue_and_green_change_places_by_their_names(place: Place) -> Result<()> {
    let mut service = hello("hello", "dev.local/app:blue");
    service["spec"]["template"]["metadata"] = json!({"name": "hello-blue"});
    place.create("ksvc", &service).await?;
    place.ready("ksvc", "hello").await?;
    let mut green = image("dev.local/app:green");
    green["spec"]["template"]["metadata"] = json!({"name": "hello-green"});
    green["spec"]["traffic"] = json!([
        {"revisionName": "hello-blue", "percent": 100},
        {"revisionName": "hello-green", "percent": 0, "tag": "green"},
    ]);
    place.patch("ksvc", "hello", &green).await?;
    place
        .eventually("ksvc", "hello", "serves blue, shows green", |object| {
            let traffic = &object["status"]["traffic"];
            traffic[0]["revisionName"] == "hello-blue" && traffic[1]["revisionName"] == "hello-green"
        })
        .await?;
    place.ready("ksvc", "hello").await?;
    let switch = json!({"spec": {"traffic": [{"revisionName": "hello-green", "percent": 100}]}});
    place.patch("ksvc", "hello", &switch).await?;
    let backend = "/spec/rules/0/http/paths/0/splits/0/serviceName";
    let is_green = |object: &Value| text(object, backend) == "hello-green";
    place.eventually("ingress", "hello", "leads to green", is_green).await?;
    place.ready("ksvc", "hello").await?;
    let reserve = |object: &Value| entry(object, "labels", "serving.knative.dev/routingState") == "reserve";
    place.eventually("revision", "hello-blue", "rests", reserve).await?;
    let taken = json!({"spec": {"template": {"metadata": {"name": "hello-blue"}, "spec": {"containers": [{"image": "dev.local/app:other"}]}}}});
    place.patch("ksvc", "hello", &taken).await?;
    let service = place
        .condition("ksvc", "hello", "RoutesReady", ("False", "RevisionNameTaken"))
        .await?;
    ensure!(
        message(&service, "RoutesReady").starts_with("The revision name \"hello-blue\" is taken"),
        "{service}"
    );
    Ok(())
}

async fn a_rollout_goes_step_by_step(place: Place) -> Result<()> {
    let mut service = hello("hello", "dev.local/app:a");
    service["metadata"]["annotations"] = json!({"serving.knative.dev/rollout-duration": "6s"});
    place.create("ksvc", &service).await?;
    place.ready("ksvc", "hello").await?;
    place.patch("ksvc", "hello", &image("dev.local/app:b")).await?;
    place
        .condition("route", "hello", "IngressReady", ("Unknown", "RolloutInProgress"))
        .await?;
    let seen = std::sync::Mutex::new(Vec::new());
    let share = |route: &Value| -> i64 {
        let traffic = route["status"]["traffic"].as_array().cloned().unwrap_or_default();
        let new = traffic.iter().filter(|target| target["revisionName"] == "hello-00002");
        new.filter_map(|target| target["percent"].as_i64()).sum()
    };
    until("the rollout ends", || async {
        let route = place.get("route", "hello").await?;
        let new = share(&route);
        let mut seen = seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if seen.last() != Some(&new) {
            seen.push(new);
        }
        let is_done = new == 100 && state(&route, "Ready") == ("True", "");
        Ok(is_done.then_some(()).ok_or(route))
    })
    .await?;
    let seen = seen.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    ensure!(seen.is_sorted(), "shares {seen:?}");
    ensure!(seen.first() == Some(&1) && seen.len() > 3, "shares {seen:?}");
    place.ready("ksvc", "hello").await.map(drop)
}

async fn a_target_that_is_missing_is_told_and_waited_for(place: Place) -> Result<()> {
    let mut service = hello("hello", "dev.local/app:a");
    service["spec"]["traffic"] = json!([{"revisionName": "hello-later", "percent": 100}]);
    place.create("ksvc", &service).await?;
    let route = place
        .condition("route", "hello", "AllTrafficAssigned", ("False", "RevisionMissing"))
        .await?;
    let expected = "Revision \"hello-later\" referenced in traffic not found.";
    ensure!(message(&route, "AllTrafficAssigned") == expected, "{route}");
    place
        .condition("ksvc", "hello", "RoutesReady", ("False", "RevisionMissing"))
        .await?;
    let mut later = image("dev.local/app:b");
    later["spec"]["template"]["metadata"] = json!({"name": "hello-later"});
    place.patch("ksvc", "hello", &later).await?;
    place.ready("ksvc", "hello").await.map(drop)
}

fn mapping(domain: &str, service: &str) -> Value {
    json!({
        "apiVersion": "serving.knative.dev/v1beta1", "kind": "DomainMapping",
        "metadata": {"name": domain},
        "spec": {"ref": {"apiVersion": "serving.knative.dev/v1", "kind": "Service", "name": service}},
    })
}

async fn a_domain_of_ones_own_leads_to_the_service(place: Place) -> Result<()> {
    place.create("domainmapping", &mapping("www.x.org", "hello")).await?;
    place
        .condition(
            "domainmapping",
            "www.x.org",
            "DomainClaimed",
            ("False", "DomainAlreadyClaimed"),
        )
        .await?;
    place
        .configure("config-network", &json!({"autocreate-cluster-domain-claims": "true"}))
        .await?;
    place
        .condition(
            "domainmapping",
            "www.x.org",
            "ReferenceResolved",
            ("False", "ResolveFailed"),
        )
        .await?;
    place.create("ksvc", &hello("hello", "dev.local/app:a")).await?;
    let ready = place.ready("domainmapping", "www.x.org").await?;
    ensure!(text(&ready, "/status/url") == "http://www.x.org", "{ready}");
    let claim = place.get("claim", "www.x.org").await?;
    ensure!(text(&claim, "/spec/namespace") == place.namespace(), "{claim}");
    let ingress = place.get("ingress", "www.x.org").await?;
    let path = &ingress["spec"]["rules"][0]["http"]["paths"][0];
    let host = format!("hello.{}.svc.cluster.local", place.namespace());
    ensure!(path["rewriteHost"] == host, "{ingress}");
    ensure!(path["splits"][0]["serviceName"] == "hello", "{ingress}");
    place.delete("domainmapping", "www.x.org").await?;
    place.gone("domainmapping", "www.x.org").await?;
    place.gone("claim", "www.x.org").await
}

async fn visibility_changes_the_domain(place: Place) -> Result<()> {
    place.configure("config-domain", &json!({"example.com": ""})).await?;
    place.create("ksvc", &hello("hello", "dev.local/app:a")).await?;
    let at = |domain: &str| {
        let url = format!("http://hello.{}.{domain}", place.namespace());
        move |object: &Value| text(object, "/status/url") == url
    };
    place
        .eventually("ksvc", "hello", "is outside", at("example.com"))
        .await?;
    let label = |value: Value| json!({"metadata": {"labels": {"networking.knative.dev/visibility": value}}});
    place.patch("ksvc", "hello", &label("cluster-local".into())).await?;
    place
        .eventually("ksvc", "hello", "is inside", at("svc.cluster.local"))
        .await?;
    place.patch("ksvc", "hello", &label(Value::Null)).await?;
    place
        .eventually("ksvc", "hello", "is outside again", at("example.com"))
        .await?;
    place.ready("ksvc", "hello").await.map(drop)
}
