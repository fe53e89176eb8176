// SPDX-License-Identifier: Apache-2.0
//! Lists and watches.
//!
//! Depends on: place.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::place::{IMAGES, MAPS, Place, Scenario, image, map, same};

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "lists_are_in_order_and_selected",
        check: lists_are_in_order_and_selected,
    },
    Scenario {
        name: "a_watch_goes_on_where_a_list_ended",
        check: a_watch_goes_on_where_a_list_ended,
    },
    Scenario {
        name: "a_watch_without_a_version_begins_with_what_is",
        check: a_watch_without_a_version_begins_with_what_is,
    },
    Scenario {
        name: "what_ceases_to_match_is_deleted_for_the_watch",
        check: what_ceases_to_match_is_deleted_for_the_watch,
    },
    Scenario {
        name: "selectors_are_read_or_refused",
        check: selectors_are_read_or_refused,
    },
];

/// The API server streams lists only over a newer etcd than the one that this tier has.
pub(super) const EMBEDDED_ONLY: &[Scenario] = &[Scenario {
    name: "a_streamed_list_ends_with_a_bookmark",
    check: a_streamed_list_ends_with_a_bookmark,
}];

fn labelled(name: &str, label: &str) -> Value {
    let mut object = image(name);
    object["metadata"]["labels"] = json!({"l": label});
    object
}

fn names(list: &Value) -> Vec<String> {
    let items = list["items"].as_array().into_iter().flatten();
    items
        .map(|item| item["metadata"]["name"].as_str().unwrap_or_default().to_owned())
        .collect()
}

fn lists_are_in_order_and_selected(place: &Place) -> Result<()> {
    for (name, label) in [("b", "x"), ("a", "x"), ("c", "y")] {
        place.create(IMAGES, &labelled(name, label))?;
    }
    let all = place.ask("GET", IMAGES, "", &Value::Null)?.body;
    same("kind", &all["kind"], "ImageList")?;
    ensure!(names(&all) == ["a", "b", "c"], "{all}");
    for (query, expected) in [
        ("labelSelector=l%3Dx", vec!["a", "b"]),
        ("labelSelector=l+notin+(x)", vec!["c"]),
        ("labelSelector=!l", vec![]),
        ("fieldSelector=metadata.name%3Db", vec!["b"]),
        ("fieldSelector=metadata.name!%3Db&labelSelector=l%3Dx", vec!["a"]),
    ] {
        let list = place.ask("GET", IMAGES, &format!("?{query}"), &Value::Null)?.body;
        ensure!(names(&list) == expected, "{query}: {list}");
    }
    Ok(())
}

fn a_watch_goes_on_where_a_list_ended(place: &Place) -> Result<()> {
    place.create(MAPS, &map("a"))?;
    let list = place
        .ask(
            "GET",
            MAPS,
            "?fieldSelector=metadata.name!%3Dkube-root-ca.crt",
            &Value::Null,
        )?
        .body;
    let version = list["metadata"]["resourceVersion"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let mut watch = place.watch(MAPS, &format!("&resourceVersion={version}"))?;
    place.create(MAPS, &map("b"))?;
    place.patch("merge-patch+json", MAPS, "/a", &json!({"data": {"a": "2"}}))?;
    place.ask("DELETE", MAPS, "/b", &Value::Null)?;
    let mut last = version.parse::<u64>()?;
    for (kind, name) in [("ADDED", "b"), ("MODIFIED", "a"), ("DELETED", "b")] {
        let (found, object) = watch.next()?;
        ensure!(found == kind && object["metadata"]["name"] == name, "{found} {object}");
        let version = object["metadata"]["resourceVersion"]
            .as_str()
            .unwrap_or_default()
            .parse::<u64>()?;
        ensure!(version > last, "{version} comes after {last}");
        last = version;
    }
    Ok(())
}

fn a_watch_without_a_version_begins_with_what_is(place: &Place) -> Result<()> {
    place.create(IMAGES, &image("a"))?;
    // A server whose cache is behind its store says so, and that one should come back.
    let limit = Instant::now() + Duration::from_secs(30);
    loop {
        let (kind, object) = place.watch(IMAGES, "")?.next()?;
        if kind == "ERROR" && object["code"] == 504 && Instant::now() < limit {
            std::thread::sleep(Duration::from_secs(1));
            continue;
        }
        ensure!(kind == "ADDED" && object["metadata"]["name"] == "a", "{kind} {object}");
        return Ok(());
    }
}

fn what_ceases_to_match_is_deleted_for_the_watch(place: &Place) -> Result<()> {
    let made = place.create(IMAGES, &labelled("a", "x"))?;
    let version = made["metadata"]["resourceVersion"].as_str().unwrap_or_default();
    let mut watch = place.watch(IMAGES, &format!("&labelSelector=l%3Dy&resourceVersion={version}"))?;
    for label in ["y", "z"] {
        place.patch(
            "merge-patch+json",
            IMAGES,
            "/a",
            &json!({"metadata": {"labels": {"l": label}}}),
        )?;
    }
    let (kind, object) = watch.next()?;
    ensure!(
        kind == "ADDED" && object["metadata"]["labels"]["l"] == "y",
        "{kind} {object}"
    );
    let (kind, object) = watch.next()?;
    ensure!(
        kind == "DELETED" && object["metadata"]["labels"]["l"] == "y",
        "{kind} {object}"
    );
    Ok(())
}

fn a_streamed_list_ends_with_a_bookmark(place: &Place) -> Result<()> {
    place.create(IMAGES, &image("a"))?;
    let query = "&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan";
    let mut watch = place.watch(IMAGES, query)?;
    same("code", &watch.code().into(), 200)?;
    let (kind, _) = watch.next()?;
    ensure!(kind == "ADDED", "{kind}");
    let (kind, object) = watch.next()?;
    ensure!(kind == "BOOKMARK", "{kind} {object}");
    same(
        "annotation",
        &object["metadata"]["annotations"]["k8s.io/initial-events-end"],
        "true",
    )
}

fn selectors_are_read_or_refused(place: &Place) -> Result<()> {
    for query in [
        "labelSelector=a+in+b",
        "fieldSelector=spec.nothing%3D1",
        "fieldSelector=metadata.name",
    ] {
        let answer = place.ask("GET", IMAGES, &format!("?{query}"), &Value::Null)?;
        ensure!(
            answer.code == 400 && answer.body["reason"] == "BadRequest",
            "{query}: {answer:?}"
        );
    }
    Ok(())
}
