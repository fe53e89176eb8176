// SPDX-License-Identifier: Apache-2.0
//! How a container stands, and what follows for its pod's status.
//!
//! Invariants: pure; the time of a condition changes only with its status.
//! Depends on: plan (Ended).

use serde_json::{Value, json};

use super::plan::Ended;

/// What a container is doing.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Doing {
    /// It does not run, and why.
    Waiting {
        /// As Kubernetes calls it.
        reason: &'static str,
        /// For people.
        message: String,
    },
    /// It runs since, as RFC 3339.
    Running(String),
    /// It has ended, for good.
    Terminated(Ended),
}

/// How a container stands.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct View {
    /// Its name.
    pub name: String,
    /// Its image, as its spec names it.
    pub image: String,
    /// Which image that is; empty until it is known.
    pub image_id: String,
    /// What it is doing.
    pub doing: Doing,
    /// The end of its run before.
    pub last: Option<Ended>,
    /// How often it was started again.
    pub restarts: u32,
    /// Whether its readiness probe passes.
    pub is_ready: bool,
    /// Whether its startup probe has passed.
    pub has_started: bool,
}

impl View {
    /// A container that has not begun.
    #[must_use]
    pub(super) fn new(name: &str, image: &str, reason: &'static str) -> Self {
        Self {
            name: name.to_owned(),
            image: image.to_owned(),
            image_id: String::new(),
            doing: Doing::Waiting {
                reason,
                message: String::new(),
            },
            last: None,
            restarts: 0,
            is_ready: false,
            has_started: false,
        }
    }

    fn status(&self, uid: &str) -> Value {
        let id = format!("sluice://{uid}/{}/{}", self.name, self.restarts);
        let state = match &self.doing {
            Doing::Waiting { reason, message } if message.is_empty() => json!({"waiting": {"reason": reason}}),
            Doing::Waiting { reason, message } => json!({"waiting": {"reason": reason, "message": message}}),
            Doing::Running(since) => json!({"running": {"startedAt": seconds(since)}}),
            Doing::Terminated(ended) => json!({"terminated": terminated(ended, &id)}),
        };
        let has_run = !matches!(self.doing, Doing::Waiting { .. }) || self.last.is_some();
        let mut status = json!({
            "name": self.name, "image": self.image, "imageID": self.image_id, "state": state,
            "lastState": {}, "ready": self.is_ready, "started": self.has_started, "restartCount": self.restarts,
        });
        if let Some(last) = &self.last {
            status["lastState"] = json!({"terminated": terminated(last, &id)});
        }
        if has_run {
            status["containerID"] = id.into();
        }
        status
    }
}

/// Why a container ended, in Kubernetes' words.
#[must_use]
pub(super) fn reason(ended: &Ended) -> &str {
    match &ended.reason {
        Some(reason) => reason,
        None if ended.is_oom => "OOMKilled",
        None if ended.code == 0 => "Completed",
        None => "Error",
    }
}

fn terminated(ended: &Ended, id: &str) -> Value {
    let mut state = json!({
        "exitCode": ended.code, "reason": reason(ended), "containerID": id,
        "startedAt": seconds(&ended.began), "finishedAt": seconds(&ended.at),
    });
    if ended.signal != 0 {
        state["signal"] = ended.signal.into();
    }
    if !ended.message.is_empty() {
        state["message"] = ended.message.clone().into();
    }
    state
}

/// Kubernetes' times have no fractions.
fn seconds(time: &str) -> String {
    let whole = time.split('.').next().unwrap_or(time).trim_end_matches('Z');
    format!("{whole}Z")
}

/// How a pod stands.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct PodView {
    /// Its UID.
    pub uid: String,
    /// Its address, once it has one.
    pub ip: Option<String>,
    /// The machine's address in the pods' network.
    pub host: String,
    /// When it was taken up, as RFC 3339.
    pub since: String,
    /// `restartPolicy`.
    pub policy: Policy,
    /// The init containers.
    pub init: Vec<View>,
    /// The containers.
    pub containers: Vec<View>,
    /// `Guaranteed`, `Burstable` or `BestEffort`.
    pub class: &'static str,
}

/// Whether a container that ended is started again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Policy {
    /// Whatever its exit code.
    #[default]
    Always,
    /// Unless its exit code is 0.
    OnFailure,
    /// Not.
    Never,
}

impl Policy {
    /// Of its name; what is not known is the default.
    #[must_use]
    pub(super) fn of(name: Option<&str>) -> Self {
        match name {
            Some("Never") => Self::Never,
            Some("OnFailure") => Self::OnFailure,
            _ => Self::Always,
        }
    }

    /// Whether a container that ended so is started again.
    #[must_use]
    pub(super) fn restarts(self, code: i32) -> bool {
        match self {
            Self::Always => true,
            Self::OnFailure => code != 0,
            Self::Never => false,
        }
    }
}

impl PodView {
    /// The status, after the one before.
    #[must_use]
    pub(super) fn status(&self, before: &Value, now: &str) -> Value {
        let is_initialized = self
            .init
            .iter()
            .all(|view| matches!(&view.doing, Doing::Terminated(end) if end.code == 0));
        let unready: Vec<&str> = self
            .containers
            .iter()
            .filter(|view| !view.is_ready)
            .map(|view| view.name.as_str())
            .collect();
        let phase = self.phase(is_initialized);
        let why = match phase {
            "Succeeded" => ("PodCompleted", String::new()),
            "Failed" => ("PodFailed", String::new()),
            _ if unready.is_empty() => ("", String::new()),
            _ => (
                "ContainersNotReady",
                format!("containers with unready status: [{}]", unready.join(" ")),
            ),
        };
        let uninitialized = match is_initialized {
            true => ("", String::new()),
            false => (
                "ContainersNotInitialized",
                "containers with incomplete status".to_owned(),
            ),
        };
        let is_ready = unready.is_empty() && is_initialized;
        let none = || ("", String::new());
        let conditions = [
            ("PodReadyToStartContainers", self.ip.is_some(), none()),
            ("Initialized", is_initialized, uninitialized),
            ("Ready", is_ready, why.clone()),
            ("ContainersReady", is_ready, why),
            ("PodScheduled", true, none()),
        ];
        let conditions: Vec<Value> = conditions
            .into_iter()
            .map(|(kind, holds, why)| condition(kind, holds, why, before, now))
            .collect();
        let statuses = |views: &[View]| views.iter().map(|view| view.status(&self.uid)).collect::<Value>();
        let mut status = json!({
            "phase": phase, "conditions": conditions, "hostIP": self.host, "hostIPs": [{"ip": self.host}],
            "startTime": seconds(&self.since), "containerStatuses": statuses(&self.containers), "qosClass": self.class,
        });
        if !self.init.is_empty() {
            status["initContainerStatuses"] = statuses(&self.init);
        }
        if let Some(ip) = &self.ip {
            status["podIP"] = ip.clone().into();
            status["podIPs"] = json!([{"ip": ip}]);
        }
        status
    }

    fn phase(&self, is_initialized: bool) -> &'static str {
        let failed = |view: &View| matches!(&view.doing, Doing::Terminated(end) if end.code != 0);
        let over = |view: &View| matches!(view.doing, Doing::Terminated(_));
        if !is_initialized {
            return if self.init.iter().any(failed) {
                "Failed"
            } else {
                "Pending"
            };
        }
        if !self.containers.is_empty() && self.containers.iter().all(over) {
            return if self.containers.iter().any(failed) {
                "Failed"
            } else {
                "Succeeded"
            };
        }
        let has_run = |view: &View| view.last.is_some() || !matches!(view.doing, Doing::Waiting { .. });
        if self.containers.iter().all(has_run) {
            "Running"
        } else {
            "Pending"
        }
    }
}

fn condition(kind: &str, holds: bool, (reason, message): (&str, String), before: &Value, now: &str) -> Value {
    let status = if holds { "True" } else { "False" };
    let old = before["conditions"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|one| one["type"] == kind);
    let since = old
        .filter(|old| old["status"] == status)
        .and_then(|old| old["lastTransitionTime"].as_str());
    let since = since.map_or_else(|| seconds(now), str::to_owned);
    let mut condition =
        json!({"type": kind, "status": status, "lastTransitionTime": since, "lastProbeTime": Value::Null});
    if !holds && !reason.is_empty() {
        condition["reason"] = reason.into();
        condition["message"] = message.into();
    }
    condition
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(code: i32) -> Ended {
        Ended {
            code,
            signal: 0,
            is_oom: false,
            began: "2026-01-01T00:00:00.5Z".to_owned(),
            at: "2026-01-01T00:00:01.5Z".to_owned(),
            reason: None,
            message: String::new(),
        }
    }

    fn pod(containers: Vec<View>) -> PodView {
        PodView {
            uid: "u".to_owned(),
            ip: Some("10.0.0.2".to_owned()),
            host: "10.0.0.1".to_owned(),
            since: "2026-01-01T00:00:00Z".to_owned(),
            policy: Policy::Always,
            init: Vec::new(),
            containers,
            class: "BestEffort",
        }
    }

    fn view(doing: Doing, is_ready: bool) -> View {
        View {
            doing,
            is_ready,
            ..View::new("c", "i", "ContainerCreating")
        }
    }

    #[test]
    fn a_pod_is_as_ready_and_as_far_as_its_containers() {
        let running = || Doing::Running("2026-01-01T00:00:00.1Z".to_owned());
        let waiting = || Doing::Waiting {
            reason: "ContainerCreating",
            message: String::new(),
        };
        for (views, phase, ready) in [
            (vec![view(waiting(), false)], "Pending", "False"),
            (vec![view(running(), false)], "Running", "False"),
            (vec![view(running(), true)], "Running", "True"),
            (vec![view(running(), true), view(running(), false)], "Running", "False"),
            (vec![view(Doing::Terminated(ended(0)), false)], "Succeeded", "False"),
            (vec![view(Doing::Terminated(ended(3)), false)], "Failed", "False"),
        ] {
            let status = pod(views).status(&Value::Null, "2026-01-01T00:00:09.9Z");
            assert_eq!(status["phase"], phase);
            assert_eq!(status["conditions"][2]["status"], ready, "{status}");
        }
    }

    #[test]
    fn a_condition_keeps_its_time_until_it_changes() {
        let running = Doing::Running("2026-01-01T00:00:00.1Z".to_owned());
        let first = pod(vec![view(running.clone(), false)]).status(&Value::Null, "2026-01-01T00:00:01Z");
        let second = pod(vec![view(running, true)]).status(&first, "2026-01-01T00:00:02Z");
        assert_eq!(second["conditions"][4]["lastTransitionTime"], "2026-01-01T00:00:01Z");
        assert_eq!(second["conditions"][2]["lastTransitionTime"], "2026-01-01T00:00:02Z");
    }
}
