// SPDX-License-Identifier: Apache-2.0
//! Objects, changed as a person would: by kubectl, or by the same calls over HTTP.
//!
//! Depends on: http, instance, tell, process.

use super::http::{self, Request};
use super::instance::Places;
use super::tell;
use crate::process;
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const SERVICES: &str = "/apis/serving.knative.dev/v1/namespaces/default/services";

/// The API of an instance.
pub(super) struct Api {
    address: SocketAddr,
    folder: PathBuf,
    kubeconfig: PathBuf,
    kubectl: Option<PathBuf>,
}

/// A pod of a service.
pub(super) struct Pod {
    /// Whether it can answer and does not end.
    pub(super) is_ready: bool,
}

impl Api {
    pub(super) fn new(address: SocketAddr, places: &Places, kubectl: Option<PathBuf>) -> Self {
        Self {
            address,
            folder: places.folder().to_owned(),
            kubeconfig: places.kubeconfig(),
            kubectl,
        }
    }

    /// Applies a Service.
    pub(super) fn apply(&self, name: &str, manifest: &str) -> Result<()> {
        let file = self.folder.join(format!("{name}.yaml"));
        fs::write(&file, manifest).with_context(|| format!("writing {}", file.display()))?;
        tell::command(&format!("kubectl apply -f {name}.yaml"));
        match &self.kubectl {
            Some(kubectl) => self.run(kubectl, |command| command.arg("apply").arg("-f").arg(&file)),
            None => {
                let path = format!("{SERVICES}/{name}?fieldManager=demo&force=true");
                self.patch_by_http(&path, "application/apply-patch+yaml", manifest)
            }
        }
    }

    /// Merges a change into a Service.
    pub(super) fn patch(&self, name: &str, change: &Value) -> Result<()> {
        let change = change.to_string();
        tell::command(&format!("kubectl patch ksvc {name} --type merge -p '{change}'"));
        match &self.kubectl {
            Some(kubectl) => self.run(kubectl, |command| {
                command.args(["patch", "ksvc", name, "--type", "merge", "-p", &change])
            }),
            None => self.patch_by_http(&format!("{SERVICES}/{name}"), "application/merge-patch+json", &change),
        }
    }

    fn run(&self, kubectl: &Path, arguments: impl Fn(&mut Command) -> &mut Command) -> Result<()> {
        let mut command = Command::new(kubectl);
        command.arg("--kubeconfig").arg(&self.kubeconfig);
        command.arg("--cache-dir").arg(self.folder.join("kubectl"));
        arguments(&mut command);
        let output = command.stdin(Stdio::null()).output().context("starting kubectl")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{}: {}", process::shown(&command), said.trim());
        tell::line(String::from_utf8_lossy(&output.stdout).trim());
        Ok(())
    }

    fn patch_by_http(&self, path: &str, content: &str, body: &str) -> Result<()> {
        let request = Request {
            method: "PATCH",
            path,
            host: "localhost",
            content: Some(content),
            body,
        };
        let answer = http::ask(self.address, &request).with_context(|| format!("PATCH {path}"))?;
        ensure!(
            matches!(answer.status, 200 | 201),
            "PATCH {path}: {} {}",
            answer.status,
            answer.body
        );
        Ok(())
    }

    fn get(&self, path: &str) -> Result<Value> {
        let answer = http::ask(self.address, &http::get("localhost", path)).with_context(|| format!("GET {path}"))?;
        if answer.status != 200 {
            bail!("GET {path}: {} {}", answer.status, answer.body);
        }
        serde_json::from_str(&answer.body).with_context(|| format!("reading what GET {path} answers"))
    }

    /// The Service.
    pub(super) fn service(&self, name: &str) -> Result<Value> {
        self.get(&format!("{SERVICES}/{name}"))
    }

    /// The pods of a Service, those that end too.
    pub(super) fn pods(&self, service: &str) -> Result<Vec<Pod>> {
        let path = format!("/api/v1/namespaces/default/pods?labelSelector=serving.knative.dev/service={service}");
        let list = self.get(&path)?;
        let items = list["items"]
            .as_array()
            .with_context(|| format!("GET {path}: no items"))?;
        Ok(items.iter().map(Pod::of).collect())
    }

    /// How many can answer.
    pub(super) fn ready(&self, service: &str) -> Result<usize> {
        Ok(self.pods(service)?.iter().filter(|pod| pod.is_ready).count())
    }
}

impl Pod {
    fn of(object: &Value) -> Self {
        let conditions = object["status"]["conditions"].as_array();
        let mut conditions = conditions.into_iter().flatten();
        let passes = conditions.any(|condition| condition["type"] == "Ready" && condition["status"] == "True");
        Self {
            is_ready: passes && object["metadata"]["deletionTimestamp"].is_null(),
        }
    }
}

/// Whether a Service is as it was last asked to be.
pub(super) fn is_settled(service: &Value) -> bool {
    let conditions = service["status"]["conditions"].as_array();
    let mut conditions = conditions.into_iter().flatten();
    let is_ready = conditions.any(|condition| condition["type"] == "Ready" && condition["status"] == "True");
    is_ready && service["status"]["observedGeneration"] == service["metadata"]["generation"]
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_service_is_settled_when_its_newest_generation_is_ready() {
        let of = |seen: u32, ready: &str| {
            let conditions = json!([{"type": "Ready", "status": ready}]);
            json!({"metadata": {"generation": 2}, "status": {"observedGeneration": seen, "conditions": conditions}})
        };
        assert!(is_settled(&of(2, "True")));
        assert!(!is_settled(&of(1, "True")) && !is_settled(&of(2, "Unknown")));
    }
}
