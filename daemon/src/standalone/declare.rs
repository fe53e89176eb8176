// SPDX-License-Identifier: Apache-2.0
//! Manifests of `-f`, judged as by `sluice validate` and applied as by `kubectl apply --server-side`.
//!
//! Invariants: nothing is applied unless everything can be read and a copy of the objects has accepted it; namespaces and
//! ConfigMaps go first, because the rest may need them.
//! Depends on: validate, standalone.

use std::path::PathBuf;

use ::standalone::http::Local;
use ::standalone::resource::{self, Resource};
use api::manifest::{self, Circumstances, Verdict};
use api::names::product;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::{Method, Request, header};
use serde_json::Value;
use tower_service::Service as _;

use crate::failure::{Exit, Failure};
use crate::validate::{config, shown, source};

/// Who owns the fields that come from files.
const MANAGER: &str = "sluice-standalone";
/// The order of all that nothing else needs.
const REST: u8 = 2;
/// Namespace of objects that name none.
const NAMESPACE: &str = "default";

/// An object that is to be.
#[derive(Debug)]
pub(super) struct Declared {
    /// The file and what it is, for messages.
    place: String,
    path: String,
    object: Value,
    /// Lower goes first.
    order: u8,
}

/// Reads all files; what is refused is told on stderr.
pub(super) fn read(files: &[PathBuf]) -> Result<Vec<Declared>, Failure> {
    let mut texts = Vec::new();
    // Settings among the files count for the rest, as they will when all is applied.
    let mut circumstances = Circumstances::default();
    for source in source::all(files) {
        let unusable = |why: &dyn std::fmt::Display| Failure::new(Exit::Usage, format!("{}: {why}", source.name()), "");
        let text = source.read().map_err(|error| unusable(&error))?;
        config::add(source.name(), &text, &mut circumstances.settings)?;
        texts.push((source, text));
    }
    let mut refused = 0_usize;
    for (source, text) in &texts {
        for judgement in manifest::judge(text, &circumstances) {
            if judgement.verdict == Verdict::Refused {
                refused += 1;
                let lines = shown::lines(source.name(), &judgement);
                lines.iter().for_each(|line| eprintln!("{line}"));
            }
        }
    }
    if refused > 0 {
        let message = format!("{refused} of the objects would be refused; nothing was applied");
        return Err(Failure::new(Exit::Usage, message, "`sluice validate FILE` says more"));
    }
    let mut declared = Vec::new();
    for (source, text) in texts {
        let unusable = |why: String| Failure::new(Exit::Usage, format!("{}: {why}", source.name()), "");
        for object in manifest::objects_in(&text).map_err(&unusable)? {
            declared.push(of(source.name(), object)?);
        }
    }
    declared.sort_by_key(|declared| declared.order);
    Ok(declared)
}

fn of(file: &str, object: Value) -> Result<Declared, Failure> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (version, kind) = (text(&object["apiVersion"]), text(&object["kind"]));
    let name = text(&object["metadata"]["name"]);
    let place = format!("{file}: {kind} {name}");
    let Some(resource) = resource::of_kind(&version, &kind) else {
        let message = format!("{place}: there is no kind {kind:?} of {version:?} here");
        return Err(Failure::new(
            Exit::Usage,
            message,
            "docs/embedded-api.md lists the kinds",
        ));
    };
    if name.is_empty() {
        let help = "`-f` applies objects, so each needs a name";
        return Err(Failure::new(
            Exit::Usage,
            format!("{place}: metadata.name is missing"),
            help,
        ));
    }
    let namespace = object["metadata"]["namespace"].as_str().unwrap_or(NAMESPACE);
    Ok(Declared {
        place,
        path: path(resource, namespace, &name),
        order: match kind.as_str() {
            "Namespace" => 0,
            "ConfigMap" | "Secret" => 1,
            _ => REST,
        },
        object,
    })
}

fn path(resource: &Resource, namespace: &str, name: &str) -> String {
    let root = match resource.group {
        "" => "/api".to_owned(),
        group => format!("/apis/{group}"),
    };
    let place = match resource.namespaced {
        true => format!("namespaces/{namespace}/"),
        false => String::new(),
    };
    format!("{root}/{}/{place}{}/{name}", resource.version, resource.plural)
}

/// What the rest may need, then the rest.
pub(super) fn needs_first(declared: &[Declared]) -> (&[Declared], &[Declared]) {
    declared.split_at(declared.partition_point(|declared| declared.order < REST))
}

/// The keys that the files give a ConfigMap of the system's, but for those of examples.
pub(super) fn keys_of<'a>(declared: &'a [Declared], map: &str) -> impl Iterator<Item = &'a str> {
    let path = settings_path(map);
    let maps = declared.iter().filter(move |declared| declared.path == path);
    maps.flat_map(|declared| keys(&declared.object))
}

/// Where a ConfigMap of the system's is.
pub(super) fn settings_path(map: &str) -> String {
    format!("/api/v1/namespaces/{}/configmaps/{map}", product::SYSTEM_NAMESPACE)
}

/// The keys of a ConfigMap, but for those of examples.
pub(super) fn keys(map: &Value) -> impl Iterator<Item = &str> {
    let keys = map["data"].as_object().into_iter().flat_map(|data| data.keys());
    keys.map(String::as_str).filter(|key| !key.starts_with('_'))
}

/// Applies them, in order.
pub(super) async fn apply(api: &mut Local, declared: &[Declared]) -> Result<(), Failure> {
    for object in declared {
        let applied = apply_one(api, &object.path, MANAGER, &object.object).await;
        applied.map_err(|why| failed(object, &why))?;
    }
    Ok(())
}

/// Applies an object as this manager: what it said before and does not say now goes. Answers what the API says is wrong.
pub(super) async fn apply_one(api: &mut Local, path: &str, manager: &str, object: &Value) -> Result<(), String> {
    let uri = format!("{path}?fieldManager={manager}&force=true");
    let applied = ask(api, Method::PATCH, &uri, "application/apply-patch+yaml", object).await;
    applied.map(drop)
}

/// The object that is there, or what the API says is wrong.
pub(super) async fn get(api: &mut Local, path: &str) -> Result<Value, String> {
    ask(api, Method::GET, path, "application/json", &Value::Null).await
}

async fn ask(api: &mut Local, method: Method, uri: &str, content: &str, body: &Value) -> Result<Value, String> {
    let body = match body {
        Value::Null => Bytes::new(),
        object => Bytes::from(object.to_string()),
    };
    let asked = Request::builder()
        .method(method)
        .uri(uri)
        .header(header::CONTENT_TYPE, content);
    let asked = asked.body(Full::new(body)).map_err(|error| error.to_string())?;
    let Ok(answer) = api.call(asked).await;
    let status = answer.status();
    let body = answer.into_body().collect().await.map_err(|error| error.to_string())?;
    let said: Value = serde_json::from_slice(&body.to_bytes()).map_err(|error| error.to_string())?;
    match status.is_success() {
        true => Ok(said),
        false => Err(said["message"]
            .as_str()
            .map_or_else(|| status.to_string(), str::to_owned)),
    }
}

/// A call of our own was refused.
pub(super) fn failed_call(what: &str, why: &str) -> Failure {
    Failure::new(Exit::Failed, format!("{what}: {why}"), "")
}

/// Says so.
pub(super) fn nothing_applied(failure: Failure) -> Failure {
    Failure::new(
        Exit::Failed,
        failure.into_parts().0,
        "nothing was applied; change the file, or the object that is there",
    )
}

fn failed(object: &Declared, why: &str) -> Failure {
    Failure::new(Exit::Failed, format!("{}: {why}", object.place), "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_object_goes_where_its_kind_lives() {
        let service = json!({"apiVersion": "serving.knative.dev/v1", "kind": "Service", "metadata": {"name": "hello"}});
        let declared = of("a.yaml", service).unwrap();
        assert_eq!(
            declared.path,
            "/apis/serving.knative.dev/v1/namespaces/default/services/hello"
        );
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}});
        assert_eq!(of("a.yaml", namespace).unwrap().path, "/api/v1/namespaces/shop");
    }

    #[test]
    fn only_the_systems_own_map_chooses_and_examples_choose_nothing() {
        let map = |namespace: &str, data: Value| {
            let metadata = json!({"name": "config-domain", "namespace": namespace});
            of(
                "a.yaml",
                json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}),
            )
            .unwrap()
        };
        let keys = |declared: &[Declared]| {
            keys_of(declared, "config-domain")
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        assert_eq!(
            keys(&[map("knative-serving", json!({"_example": "", "my.org": ""}))]),
            ["my.org"]
        );
        assert!(keys(&[map("knative-serving", json!({"_example": ""}))]).is_empty());
        assert!(keys(&[map("default", json!({"my.org": ""}))]).is_empty());
    }

    #[test]
    fn what_cannot_be_applied_is_named() {
        let message = |object| of("a.yaml", object).unwrap_err().into_parts().0;
        let unknown = json!({"apiVersion": "v2", "kind": "Thing", "metadata": {"name": "x"}});
        assert_eq!(
            message(unknown),
            "a.yaml: Thing x: there is no kind \"Thing\" of \"v2\" here"
        );
        let nameless = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {}});
        assert_eq!(message(nameless), "a.yaml: ConfigMap : metadata.name is missing");
    }
}
