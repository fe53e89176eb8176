// SPDX-License-Identifier: Apache-2.0
//! Lists and watches.
//!
//! Depends on: place.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::place::{IMAGES, MAPS, Place, Scenario, image, map, same};
use super::server::Server;

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
pub(super) const EMBEDDED_ONLY: &[Scenario] = &[
    Scenario {
        name: "a_streamed_list_ends_with_a_bookmark",
        check: a_streamed_list_ends_with_a_bookmark,
    },
    // The API server waits for a version to come; ours is one that a restart has forgotten.
    Scenario {
        name: "a_watch_of_a_version_that_has_not_been_is_expired",
        check: a_watch_of_a_version_that_has_not_been_is_expired,
    },
    // The API server remembers more.
    Scenario {
        name: "a_watch_that_is_too_far_behind_is_expired",
        check: a_watch_that_is_too_far_behind_is_expired,
    },
];

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

/// The version of a list.
fn version(list: &Value) -> Result<u64> {
    let version = list["metadata"]["resourceVersion"].as_str();
    Ok(version.unwrap_or_default().parse()?)
}

fn a_watch_of_a_version_that_has_not_been_is_expired(place: &Place) -> Result<()> {
    let newest = version(&place.ask("GET", MAPS, "", &Value::Null)?.body)?;
    // Others write meanwhile, but not so much.
    let query = format!("?watch=true&timeoutSeconds=1&resourceVersion={}", newest + 1_000_000);
    let answer = place.ask("GET", MAPS, &query, &Value::Null)?;
    ensure!(
        answer.code == 410 && answer.body["reason"] == "Expired" && answer.body["code"] == 410,
        "{answer:?}"
    );
    let message = answer.body["message"].as_str().unwrap_or_default();
    ensure!(message.starts_with("Too large resource version: "), "{message}");
    // What a client does then.
    let list = place.ask("GET", MAPS, "?resourceVersion=0", &Value::Null)?;
    let mut watch = place.watch(MAPS, &format!("&resourceVersion={}", version(&list.body)?))?;
    place.create(MAPS, &map("a"))?;
    let (kind, object) = watch.next()?;
    ensure!(kind == "ADDED" && object["metadata"]["name"] == "a", "{kind} {object}");
    Ok(())
}

/// On a server of its own: others would be too far behind as well.
fn a_watch_that_is_too_far_behind_is_expired(_: &Place) -> Result<()> {
    let server = Server::embedded()?;
    let place = Place::new(&server, None, "behind")?;
    let made = place.create(MAPS, &map("a"))?;
    let begin = version(&made)?;
    let mut behind = place.watch(MAPS, &format!("&resourceVersion={begin}"))?;
    // More than the sockets between hold, and twice what is remembered.
    let text = "x".repeat(50_000);
    for round in 0..600 {
        let change = json!({"data": {"a": round.to_string(), "b": text}});
        let changed = place.patch("merge-patch+json", MAPS, "/a", &change)?;
        ensure!(changed.code == 200, "{changed:?}");
    }
    let query = format!("?watch=true&resourceVersion={begin}");
    let late = place.ask("GET", MAPS, &query, &Value::Null)?;
    ensure!(late.code == 410 && late.body["reason"] == "Expired", "{late:?}");
    let mut last = begin;
    loop {
        let (kind, object) = behind.next()?;
        if kind == "ERROR" {
            ensure!(object["code"] == 410 && object["reason"] == "Expired", "{object}");
            break;
        }
        // Nothing is left out before it is told.
        ensure!(kind == "MODIFIED" && version(&object)? == last + 1, "{kind} {object}");
        last += 1;
    }
    ensure!(last < begin + 600, "it has seen all");
    ensure!(behind.next().is_err(), "it goes on after its error");
    Ok(())
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
