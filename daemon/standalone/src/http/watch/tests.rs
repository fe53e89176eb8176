// SPDX-License-Identifier: Apache-2.0
//! Watches over time, as their clients see them.

use std::sync::Arc;

use http::{Request, Response};
use http_body_util::{BodyExt as _, Empty, Full};

use super::*;
use crate::http::{Api, Limits};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

fn api() -> Arc<Api> {
    let settings = api::context::Settings::default();
    Arc::new(Api::new(Arc::new(State::in_memory()), settings, Limits::default()).unwrap())
}

async fn watch(api: &Arc<Api>, query: &str) -> Response<Body> {
    let request = Request::get(format!("{MAPS}?watch=true{query}"));
    let answer = api.respond(request.body(Empty::<Bytes>::new()).unwrap()).await;
    assert_eq!(answer.status(), 200);
    answer
}

async fn create(api: &Arc<Api>, name: &str) {
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}});
    let request = Request::post(MAPS).header("content-type", "application/json");
    let body = Full::new(Bytes::from(map.to_string()));
    assert_eq!(api.respond(request.body(body).unwrap()).await.status(), 201);
}

/// The next event.
async fn next(watch: &mut Response<Body>) -> Option<Value> {
    let frame = watch.body_mut().frame().await?.unwrap();
    Some(serde_json::from_slice(&frame.into_data().unwrap()).unwrap())
}

fn version(event: &Value) -> u64 {
    let version = event["object"]["metadata"]["resourceVersion"].as_str();
    version.unwrap().parse().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_quiet_watch_hears_the_newest_version_every_minute_if_it_wants_to() {
    let api = api();
    let begin = Instant::now();
    let mut told = watch(
        &api,
        "&allowWatchBookmarks=true&timeoutSeconds=150&fieldSelector=metadata.name%3Dno",
    )
    .await;
    let mut untold = watch(&api, "&timeoutSeconds=150&fieldSelector=metadata.name%3Dno").await;
    for (name, seconds) in [("a", 60), ("b", 120), ("c", 150)] {
        create(&api, name).await;
        let newest = api.state().read(Store::version);
        let event = next(&mut told).await.unwrap();
        assert_eq!(event["type"], "BOOKMARK");
        assert_eq!(event["object"]["kind"], "ConfigMap");
        assert_eq!(version(&event), newest);
        assert_eq!(begin.elapsed().as_secs(), seconds);
    }
    assert_eq!(next(&mut told).await, None, "it goes on after its time");
    assert_eq!(next(&mut untold).await, None, "a bookmark that nobody asked for");
}

/// Who goes on at a bookmark misses nothing.
#[tokio::test(start_paused = true)]
async fn a_watch_goes_on_at_a_bookmark() {
    let api = api();
    let mut first = watch(&api, "&allowWatchBookmarks=true&fieldSelector=metadata.name%3Dno").await;
    create(&api, "a").await;
    let bookmark = version(&next(&mut first).await.unwrap());
    create(&api, "b").await;
    let mut second = watch(&api, &format!("&resourceVersion={bookmark}")).await;
    let event = next(&mut second).await.unwrap();
    assert_eq!(
        (&event["type"], &event["object"]["metadata"]["name"]),
        (&json!("ADDED"), &json!("b"))
    );
}
