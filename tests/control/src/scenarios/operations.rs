// SPDX-License-Identifier: Apache-2.0
//! What goes on beside a Service: labels, collection, many at once.
//!
//! Depends on: place.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::{hello, image, scenarios};
use crate::place::{Place, entry, state, text, until, until_within};

scenarios!(
    revisions_know_the_routes_that_point_at_them,
    old_revisions_go_and_those_that_serve_stay,
    two_hundred_services_are_ready_quickly,
    a_service_at_rest_is_left_alone,
);

const ROUTES: &str = "serving.knative.dev/routes";
const STATE: &str = "serving.knative.dev/routingState";

async fn revisions_know_the_routes_that_point_at_them(place: Place) -> Result<()> {
    place.create("ksvc", &hello("hello", "dev.local/app:a")).await?;
    place.ready("ksvc", "hello").await?;
    let second = json!({"apiVersion": "serving.knative.dev/v1", "kind": "Route", "metadata": {"name": "aside"},
        "spec": {"traffic": [{"revisionName": "hello-00001", "percent": 100, "latestRevision": false}]}});
    place.create("route", &second).await?;
    let pointed = |routes: &'static str, state: &'static str| {
        move |object: &Value| entry(object, "annotations", ROUTES) == routes && entry(object, "labels", STATE) == state
    };
    let both = pointed("aside,hello", "active");
    place
        .eventually("revision", "hello-00001", "has both routes", both)
        .await?;
    place.ready("route", "aside").await?;
    place.patch("ksvc", "hello", &image("dev.local/app:b")).await?;
    place
        .eventually("revision", "hello-00001", "has one route", pointed("aside", "active"))
        .await?;
    place
        .eventually("revision", "hello-00002", "has the other", pointed("hello", "active"))
        .await?;
    place.delete("route", "aside").await?;
    place.gone("route", "aside").await?;
    place
        .eventually("revision", "hello-00001", "rests", pointed("", "reserve"))
        .await?;
    let configuration = place.get("configuration", "hello").await?;
    ensure!(
        entry(&configuration, "annotations", ROUTES) == "hello",
        "{configuration}"
    );
    Ok(())
}

async fn old_revisions_go_and_those_that_serve_stay(place: Place) -> Result<()> {
    place.create("ksvc", &hello("hello", "dev.local/app:a")).await?;
    place.ready("ksvc", "hello").await?;
    let keep = json!({"metadata": {"annotations": {"serving.knative.dev/no-gc": "true"}}});
    place.patch("revision", "hello-00001", &keep).await?;
    for number in 2..=4 {
        place
            .patch("ksvc", "hello", &image(&format!("dev.local/app:{number}")))
            .await?;
        let name = format!("hello-0000{number}");
        let moved = |object: &Value| text(object, "/status/traffic/0/revisionName") == name;
        place.eventually("ksvc", "hello", "moves", moved).await?;
        place.ready("ksvc", "hello").await?;
    }
    ensure!(place.list("revision").await?.len() == 4);
    let now = json!({"retain-since-create-time": "disabled", "retain-since-last-active-time": "disabled",
        "min-non-active-revisions": "0", "max-non-active-revisions": "0"});
    place.configure("config-gc", &now).await?;
    place.gone("revision", "hello-00002").await?;
    place.gone("revision", "hello-00003").await?;
    place.get("revision", "hello-00001").await?;
    place.get("revision", "hello-00004").await?;
    place.ready("ksvc", "hello").await.map(drop)
}

async fn two_hundred_services_are_ready_quickly(place: Place) -> Result<()> {
    const MANY: usize = 200;
    // An unoptimised build on two cores that others use too.
    const PATIENCE: Duration = Duration::from_secs(150);
    let begin = Instant::now();
    for index in 0..MANY {
        place
            .create("ksvc", &hello(&format!("s{index}"), "dev.local/app:a"))
            .await?;
    }
    let created = begin.elapsed();
    until_within(PATIENCE, "all are ready", || async {
        // Each look is work for the server too.
        tokio::time::sleep(Duration::from_millis(250)).await;
        let services = place.list("ksvc").await?;
        let ready = services
            .iter()
            .filter(|service| state(service, "Ready") == ("True", ""))
            .count();
        Ok((ready == MANY).then_some(()).ok_or(ready))
    })
    .await?;
    let rate = MANY as f64 / begin.elapsed().as_secs_f64();
    println!(
        "{MANY} services: declared in {created:?}, ready in {:?}, {rate:.0} a second",
        begin.elapsed()
    );
    Ok(())
}

async fn a_service_at_rest_is_left_alone(place: Place) -> Result<()> {
    place.create("ksvc", &hello("hello", "dev.local/app:a")).await?;
    place.ready("ksvc", "hello").await?;
    let kinds = [
        "ksvc",
        "configuration",
        "revision",
        "route",
        "ingress",
        "pa",
        "deployment",
        "service",
    ];
    let versions = || async {
        let mut versions = Vec::new();
        for kind in kinds {
            for object in place.list(kind).await? {
                versions.push(format!(
                    "{kind} {} {}",
                    object["metadata"]["name"], object["metadata"]["resourceVersion"]
                ));
            }
        }
        anyhow::Ok(versions)
    };
    // Everything that was set going comes to rest, and stays so when everything is looked at once more.
    let rest = || async {
        let before = versions().await?;
        tokio::time::sleep(Duration::from_millis(500)).await;
        let after = versions().await?;
        Ok((before == after).then_some(after).ok_or(before))
    };
    let before = until("everything rests", rest).await?;
    place.stop().await;
    place.start().await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let after = versions().await?;
    ensure!(before == after, "before {before:#?}\nafter {after:#?}");
    Ok(())
}
