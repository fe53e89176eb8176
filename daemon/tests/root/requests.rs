// SPDX-License-Identifier: Apache-2.0
//! The request log of config-observability, on the standard output of `sluice standalone`.

use crate::place::{FAST, Instance, PATIENCE, Place, patch, service, within};
use serde_json::{Value, json};
use std::thread::sleep;
use std::time::Duration;

const KEPT: &str = "autoscaling.knative.dev/min-scale: '1'";
const HOST: &str = "hello.default.localhost";
const OBSERVED: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: config-observability, namespace: knative-serving}\n\
                        data:\n  logging.enable-request-log: 'true'\n  logging.request-log-template: \
                        '{{.Request.Method}} {{.Request.RequestURI}} {{.Response.Code}} {{.Revision.Name}}'\n---\n";

#[test]
fn requests_are_logged_as_the_settings_of_the_moment_say() {
    let Some(place) = Place::new() else { return };
    let instance = place.start(&format!("{FAST}{OBSERVED}{}", service("hello", KEPT)), &[]);
    let has = |line: &str| instance.later.lock().unwrap().iter().any(|said| said == line);
    assert!(within(PATIENCE, || instance.is_ready("hello")));
    assert_eq!(instance.get(HOST, "/status/404?a=1").0, 404);
    assert!(
        within(PATIENCE, || has("GET /status/404?a=1 404 hello-00001")),
        "{:?}",
        said(&instance)
    );
    assert_eq!(instance.get("nobody.example.com", "/").0, 404);
    assert!(within(PATIENCE, || has("GET / 404 ")), "{:?}", said(&instance));

    set(&instance, &json!({"logging.enable-request-log": "false"}));
    let mut number = 0;
    let is_quiet = || {
        number += 1;
        assert_eq!(instance.get(HOST, &format!("/?off={number}")).0, 200);
        sleep(Duration::from_millis(500));
        !has(&format!("GET /?off={number} 200 hello-00001"))
    };
    assert!(within(PATIENCE, is_quiet), "{:?}", said(&instance));

    // Knative's own template: an object a line.
    let own = json!({"logging.enable-request-log": "true", "logging.request-log-template": null});
    set(&instance, &own);
    let is_told = || {
        assert_eq!(instance.get(HOST, "/?on").0, 200);
        let objects = said(&instance)
            .into_iter()
            .filter_map(|line| serde_json::from_str::<Value>(&line).ok());
        let mut asked = objects.map(|line| line["httpRequest"].clone());
        asked.any(|asked| asked["requestUrl"] == "/?on" && asked["status"] == 200 && asked["requestMethod"] == "GET")
    };
    assert!(within(PATIENCE, is_told), "{:?}", said(&instance));
    instance.end();
    place.assert_nothing_left();
}

fn set(instance: &Instance, data: &Value) {
    let path = "/api/v1/namespaces/knative-serving/configmaps/config-observability";
    let (status, body) = patch(instance.api, path, &json!({"data": data}));
    assert_eq!(status, 200, "{body}");
}

fn said(instance: &Instance) -> Vec<String> {
    instance.later.lock().unwrap().clone()
}
