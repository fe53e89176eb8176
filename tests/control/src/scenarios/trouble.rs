// SPDX-License-Identifier: Apache-2.0
//! What is told when something is wrong, and that it heals.
//!
//! Depends on: place.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::{hello, image, scenarios};
use crate::place::{Place, message, text};

scenarios!(
    a_service_of_another_in_the_way_is_told,
    a_configuration_of_another_in_the_way_is_told,
    a_deployment_of_another_in_the_way_is_told,
    a_revision_that_fails_is_told_up_to_the_service,
    a_failing_update_leaves_the_old_revision_serving,
    a_wrong_config_map_is_refused_and_the_last_one_holds,
    controllers_that_start_again_go_on_where_they_were,
);

async fn a_service_of_another_in_the_way_is_told(place: Place) -> Result<()> {
    let other = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "hello"},
        "spec": {"ports": [{"port": 80}], "selector": {"app": "x"}}});
    place.create("service", &other).await?;
    place.create("ksvc", &hello("hello", "dev.local/app:a")).await?;
    let route = place
        .condition("route", "hello", "IngressReady", ("False", "NotOwned"))
        .await?;
    let expected = "There is an existing placeholder Service \"hello\" that we do not own.";
    ensure!(message(&route, "IngressReady") == expected, "{route}");
    place
        .condition("ksvc", "hello", "RoutesReady", ("False", "NotOwned"))
        .await?;
    super::told(
        &place,
        "InternalError",
        "route: \"hello\" does not own Service: \"hello\"",
    )
    .await?;
    place.delete("service", "hello").await?;
    place.ready("ksvc", "hello").await.map(drop)
}

async fn a_configuration_of_another_in_the_way_is_told(place: Place) -> Result<()> {
    let mut other = hello("hello", "dev.local/app:other");
    other["kind"] = "Configuration".into();
    place.create("configuration", &other).await?;
    place.create("ksvc", &hello("hello", "dev.local/app:a")).await?;
    let service = place
        .condition("ksvc", "hello", "ConfigurationsReady", ("False", "NotOwned"))
        .await?;
    let expected = "There is an existing Configuration \"hello\" that we do not own.";
    ensure!(message(&service, "Ready") == expected, "{service}");
    super::told(
        &place,
        "InternalError",
        "service: \"hello\" does not own configuration: \"hello\"",
    )
    .await
}

async fn a_deployment_of_another_in_the_way_is_told(place: Place) -> Result<()> {
    let labels = json!({"app": "x"});
    let other = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "hello-00001-deployment"},
        "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels},
            "spec": {"containers": [{"name": "x", "image": "x"}]}}}});
    place.create("deployment", &other).await?;
    place.create("ksvc", &hello("hello", "dev.local/app:a")).await?;
    let revision = place
        .condition("revision", "hello-00001", "ResourcesAvailable", ("False", "NotOwned"))
        .await?;
    let expected = "There is an existing Deployment \"hello-00001-deployment\" that we do not own.";
    ensure!(message(&revision, "Ready") == expected, "{revision}");
    Ok(())
}

/// Its pods did not come up in time.
async fn fail(place: &Place, deployment: &str) -> Result<()> {
    let there = |_: &Value| true;
    place.eventually("deployment", deployment, "is there", there).await?;
    let status = json!({"observedGeneration": 1, "replicas": 1, "unavailableReplicas": 1,
        "conditions": [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "too late"}]});
    place.patch_status("deployment", deployment, &status).await.map(drop)
}

async fn a_revision_that_fails_is_told_up_to_the_service(place: Place) -> Result<()> {
    place.world().hold("Deployment", "");
    place.world().hold("PodAutoscaler", "");
    place.create("ksvc", &hello("hello", "dev.local/app:a")).await?;
    fail(&place, "hello-00001-deployment").await?;
    let failed = ("False", "RevisionFailed");
    place
        .condition(
            "revision",
            "hello-00001",
            "Ready",
            ("False", "ProgressDeadlineExceeded"),
        )
        .await?;
    let configuration = place.condition("configuration", "hello", "Ready", failed).await?;
    let expected = "Revision \"hello-00001\" failed with message: too late.";
    ensure!(message(&configuration, "Ready") == expected, "{configuration}");
    let route = place
        .condition("route", "hello", "AllTrafficAssigned", ("False", "RevisionMissing"))
        .await?;
    let expected = "Configuration \"hello\" does not have any ready Revision.";
    ensure!(message(&route, "AllTrafficAssigned") == expected, "{route}");
    place.condition("ksvc", "hello", "ConfigurationsReady", failed).await?;
    place
        .condition("ksvc", "hello", "RoutesReady", ("False", "RevisionMissing"))
        .await?;
    super::told(
        &place,
        "LatestCreatedFailed",
        "Latest created revision \"hello-00001\" has failed",
    )
    .await?;
    let there = |scaling: &Value| text(scaling, "/spec/reachability") == "Unreachable";
    place.eventually("pa", "hello-00001", "is not reachable", there).await?;
    place.world().release("PodAutoscaler", "");
    place.world().release("Deployment", "");
    place
        .patch_status(
            "deployment",
            "hello-00001-deployment",
            &json!({"observedGeneration": 0}),
        )
        .await?;
    place.ready("ksvc", "hello").await.map(drop)
}

async fn a_failing_update_leaves_the_old_revision_serving(place: Place) -> Result<()> {
    place.create("ksvc", &hello("hello", "dev.local/app:a")).await?;
    place.ready("ksvc", "hello").await?;
    place.world().hold("Deployment", "hello-00002");
    place.world().hold("PodAutoscaler", "hello-00002");
    place.patch("ksvc", "hello", &image("dev.local/app:b")).await?;
    fail(&place, "hello-00002-deployment").await?;
    let service = place
        .condition("ksvc", "hello", "ConfigurationsReady", ("False", "RevisionFailed"))
        .await?;
    ensure!(
        text(&service, "/status/traffic/0/revisionName") == "hello-00001",
        "{service}"
    );
    ensure!(
        text(&service, "/status/latestReadyRevisionName") == "hello-00001",
        "{service}"
    );
    place.ready("route", "hello").await?;
    place.patch("ksvc", "hello", &image("dev.local/app:c")).await?;
    let moved = |object: &Value| text(object, "/status/traffic/0/revisionName") == "hello-00003";
    place.eventually("ksvc", "hello", "moves on", moved).await?;
    place.ready("ksvc", "hello").await.map(drop)
}

async fn a_wrong_config_map_is_refused_and_the_last_one_holds(place: Place) -> Result<()> {
    place
        .configure("config-network", &json!({"default-external-scheme": "https"}))
        .await?;
    place.configure("config-domain", &json!({"example.com": ""})).await?;
    place.create("ksvc", &hello("hello", "dev.local/app:a")).await?;
    let url = format!("https://hello.{}.example.com", place.namespace());
    let has = |url: String| move |object: &Value| text(object, "/status/url") == url;
    place
        .eventually("ksvc", "hello", "is at its URL", has(url.clone()))
        .await?;
    let wrong = json!({"data": {"http-protocol": "sometimes"}});
    match place.patch("configmap", "config-network", &wrong).await {
        // The embedded API asks the webhook's code; before the real server there is no webhook.
        Err(error) => ensure!(
            format!("{error:#}").contains("sometimes in config-network"),
            "{error:#}"
        ),
        Ok(_) => an_event_tells_of(&place, "sometimes in config-network").await?,
    }
    let shown = place.get("ksvc", "hello").await?;
    ensure!(text(&shown, "/status/url") == url, "{shown}");
    place
        .patch(
            "configmap",
            "config-network",
            &json!({"data": {"http-protocol": null, "default-external-scheme": "http"}}),
        )
        .await?;
    let url = format!("http://hello.{}.example.com", place.namespace());
    place
        .eventually("ksvc", "hello", "follows the map", has(url))
        .await
        .map(drop)
}

/// Waits for the event of config-network that says so.
async fn an_event_tells_of(place: &Place, words: &str) -> Result<()> {
    let uid = place.get("configmap", "config-network").await?["metadata"]["uid"].clone();
    let events = crate::place::until("the map's event", || async {
        let events = place.list_in("knative-serving").await?;
        let found = events
            .into_iter()
            .find(|event| event["reason"] == "InvalidConfiguration" && event["involvedObject"]["uid"] == uid);
        Ok(found.ok_or(()))
    });
    let event = events.await?;
    ensure!(text(&event, "/message").contains(words), "{event}");
    Ok(())
}

async fn controllers_that_start_again_go_on_where_they_were(place: Place) -> Result<()> {
    place.world().hold("Deployment", "");
    place.create("ksvc", &hello("hello", "dev.local/app:a")).await?;
    let there = |_: &Value| true;
    place
        .eventually("deployment", "hello-00001-deployment", "is there", there)
        .await?;
    place.stop().await;
    place.create("ksvc", &hello("other", "dev.local/app:a")).await?;
    place.patch("ksvc", "hello", &image("dev.local/app:b")).await?;
    place.world().release("Deployment", "");
    place.start().await?;
    let service = place.ready("ksvc", "hello").await?;
    ensure!(
        text(&service, "/status/traffic/0/revisionName") == "hello-00002",
        "{service}"
    );
    place.ready("ksvc", "other").await?;
    let revisions = place.list("revision").await?;
    ensure!(revisions.len() == 3, "{} revisions", revisions.len());
    Ok(())
}
