// SPDX-License-Identifier: Apache-2.0
//! A kube client on the embedded API of its own process: no socket between them.
//!
//! Invariants: no cluster is needed, and the cases always run.
//! Depends on: standalone, kube.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures::StreamExt;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, DeleteParams, ObjectMeta, Patch, PatchParams, PostParams, WatchEvent, WatchParams};
use kube::core::ApiResource;
use libtest_mimic::{Failed, Trial};
use serde_json::json;
use standalone::http::Local;
use standalone::state::State;

const PATIENCE: Duration = Duration::from_secs(20);

/// The cases of this file.
pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("local::a_kube_client_needs_no_socket", || run(calls())),
        trial("local::admission_follows_the_configmaps", || run(settings())),
        trial("local::logs_come_from_who_has_them", || run(logs())),
        trial("local::a_watch_streams_in_the_process", || run(watches())),
    ]
}

fn trial(name: &str, check: fn() -> Result<()>) -> Trial {
    Trial::test(name, move || {
        check().map_err(|error| Failed::from(format!("{error:#}")))
    })
}

fn run(check: impl Future<Output = Result<()>>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async { tokio::time::timeout(PATIENCE, check).await? })
}

fn client() -> Result<kube::Client> {
    let settings = api::context::Settings::default();
    let limits = standalone::http::Limits::default();
    let api = standalone::http::Api::new(Arc::new(State::in_memory()), settings, limits)?;
    Ok(kube::Client::new(Local::new(Arc::new(api)), "default"))
}

fn map(name: &str) -> ConfigMap {
    ConfigMap {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            ..ObjectMeta::default()
        },
        ..ConfigMap::default()
    }
}

async fn calls() -> Result<()> {
    let client = client()?;
    let maps: Api<ConfigMap> = Api::default_namespaced(client.clone());
    let made = maps.create(&PostParams::default(), &map("a")).await?;
    ensure!(made.metadata.uid.is_some(), "{made:?}");
    let again = maps.create(&PostParams::default(), &map("a")).await;
    let code = match again {
        Err(kube::Error::Api(status)) => status.code,
        other => anyhow::bail!("a second create answers {other:?}"),
    };
    ensure!(code == 409, "{code}");
    let wanted = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"k": "v"}});
    let applied = maps
        .patch("a", &PatchParams::apply("suite"), &Patch::Apply(&wanted))
        .await?;
    ensure!(applied.data.context("data")?.contains_key("k"));
    ensure!(maps.list(&kube::api::ListParams::default()).await?.items.len() == 1);
    let kind = ApiResource::erase::<ConfigMap>(&());
    let dynamic: Api<kube::core::DynamicObject> = Api::namespaced_with(client, "default", &kind);
    ensure!(dynamic.get("a").await?.data["data"]["k"] == "v");
    maps.delete("a", &DeleteParams::default()).await?;
    ensure!(maps.get_opt("a").await?.is_none());
    Ok(())
}

async fn watches() -> Result<()> {
    let maps: Api<ConfigMap> = Api::default_namespaced(client()?);
    let mut events = maps.watch(&WatchParams::default(), "0").await?.boxed();
    for name in ["a", "b"] {
        maps.create(&PostParams::default(), &map(name)).await?;
        let event = events.next().await.context("the watch ended")??;
        let WatchEvent::Added(seen) = event else {
            anyhow::bail!("{event:?}");
        };
        ensure!(seen.metadata.name.as_deref() == Some(name), "{seen:?}");
    }
    Ok(())
}

/// The ConfigMap of a name with one setting.
fn config(name: &str, key: &str, value: &str) -> serde_json::Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "knative-serving"},
        "data": {key: value},
    })
}

async fn settings() -> Result<()> {
    let client = client()?;
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), "knative-serving");
    let kind = ApiResource::from_gvk(&kube::core::GroupVersionKind::gvk(
        "serving.knative.dev",
        "v1",
        "Service",
    ));
    let services: Api<kube::core::DynamicObject> = Api::namespaced_with(client, "default", &kind);
    for (name, seconds) in [("a", "77"), ("b", "78")] {
        let map = config("config-defaults", "revision-timeout-seconds", seconds);
        maps.patch("config-defaults", &PatchParams::apply("suite"), &Patch::Apply(&map))
            .await?;
        let service = json!({
            "apiVersion": "serving.knative.dev/v1", "kind": "Service", "metadata": {"name": name},
            "spec": {"template": {"spec": {"containers": [{"image": "image"}]}}},
        });
        let made = services
            .create(&PostParams::default(), &serde_json::from_value(service)?)
            .await?;
        let filled = &made.data["spec"]["template"]["spec"]["timeoutSeconds"];
        ensure!(filled.as_i64() == seconds.parse().ok(), "{filled}");
    }
    let map = config("config-defaults", "revision-timeout-seconds", "soon");
    let refused = maps
        .patch("config-defaults", &PatchParams::apply("suite"), &Patch::Apply(&map))
        .await;
    let message = match refused {
        Err(kube::Error::Api(status)) => status.message,
        other => anyhow::bail!("{other:?}"),
    };
    ensure!(
        message.starts_with(
            "admission webhook \"config.webhook.serving.knative.dev\" denied the request: validation failed: "
        ),
        "{message}"
    );
    Ok(())
}

/// A log of three lines.
#[derive(Debug)]
struct Lines;

impl standalone::logs::Logs for Lines {
    fn read(
        &self,
        namespace: &str,
        pod: &str,
        wanted: &standalone::logs::Wanted,
    ) -> Result<tokio::sync::mpsc::Receiver<bytes::Bytes>, standalone::refusal::Refusal> {
        let (sender, receiver) = tokio::sync::mpsc::channel(4);
        for number in 0..wanted.tail_lines.unwrap_or(3) {
            sender
                .try_send(format!("{namespace}/{pod} {number}\n").into())
                .map_err(|error| standalone::refusal::Refusal::internal(error.to_string()))?;
        }
        Ok(receiver)
    }
}

async fn logs() -> Result<()> {
    let settings = api::context::Settings::default();
    let limits = standalone::http::Limits::default();
    let api = standalone::http::Api::new(Arc::new(State::in_memory()), settings, limits)?;
    let client = kube::Client::new(Local::new(Arc::new(api.with_logs(Arc::new(Lines)))), "default");
    let pods: Api<k8s_openapi::api::core::v1::Pod> = Api::default_namespaced(client);
    let wanted = kube::api::LogParams {
        tail_lines: Some(2),
        ..kube::api::LogParams::default()
    };
    let text = pods.logs("p", &wanted).await?;
    ensure!(text == "default/p 0\ndefault/p 1\n", "{text:?}");
    Ok(())
}
