// SPDX-License-Identifier: Apache-2.0
//! What probes find and what follows.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::json;

use crate::Case;
use crate::machine::{Machine, condition, container, is_ready, pod};

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "probes::a_pod_is_ready_when_its_readiness_probe_passes_and_not_before",
        check: readiness,
    },
    Case {
        name: "probes::a_container_that_falls_ill_is_started_again",
        check: liveness,
    },
    Case {
        name: "probes::nothing_else_is_probed_before_the_startup_probe_passes",
        check: startup,
    },
    Case {
        name: "probes::a_probe_that_can_never_be_made_never_passes_and_says_why",
        check: never,
    },
    Case {
        name: "probes::commands_run_inside_the_container",
        check: exec,
    },
];

fn readiness(machine: &Machine) -> Result<()> {
    let probe = json!({"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 1, "failureThreshold": 1});
    let env = json!([{"name": "LISTEN_MS", "value": "400"}]);
    machine.create(pod("slow", &[], json!({"readinessProbe": probe, "env": env})))?;
    let found = machine.wait("slow", "running", |pod| pod["status"]["phase"] == "Running")?;
    ensure!(
        !is_ready(&found) && condition(&found, "Initialized"),
        "{:#}",
        found["status"]
    );
    machine.ready("slow")?;
    machine.get("slow", "fall-ill")?;
    let found = machine.wait("slow", "unready", |pod| !is_ready(pod))?;
    ensure!(container(&found)["restartCount"] == 0, "it was restarted");
    let events = machine.events("slow");
    let words = "Unhealthy: Readiness probe failed: HTTP probe failed with statuscode: 503";
    ensure!(events.iter().any(|event| event == words), "{events:#?}");
    Ok(())
}

fn liveness(machine: &Machine) -> Result<()> {
    let probe = json!({
        "httpGet": {"path": "/healthz", "port": 8080},
        "periodSeconds": 1, "timeoutSeconds": 5, "failureThreshold": 1,
    });
    machine.create(pod("ill", &[], json!({"livenessProbe": probe})))?;
    let found = machine.ready("ill")?;
    let before = container(&found)["restartCount"].as_u64();
    machine.get("ill", "fall-ill")?;
    let again = |pod: &serde_json::Value| container(pod)["restartCount"].as_u64() > before && is_ready(pod);
    let found = machine.wait("ill", "started again", again)?;
    let last = &container(&found)["lastState"]["terminated"];
    ensure!(last["exitCode"] == 143 && last["reason"] == "Error", "{last}");
    let events = machine.events("ill");
    ensure!(
        events
            .iter()
            .any(|event| event == "Killing: Container c failed liveness probe, will be restarted"),
        "{events:#?}"
    );
    Ok(())
}

fn startup(machine: &Machine) -> Result<()> {
    let startup = json!({"tcpSocket": {"port": 8080}, "periodSeconds": 1, "failureThreshold": 20});
    let liveness = json!({"tcpSocket": {"port": 8080}, "periodSeconds": 1, "timeoutSeconds": 5, "failureThreshold": 1});
    let env = json!([{"name": "LISTEN_MS", "value": "1500"}]);
    machine.create(pod(
        "late",
        &[],
        json!({"startupProbe": startup, "livenessProbe": liveness, "env": env}),
    ))?;
    let found = machine.ready("late")?;
    ensure!(container(&found)["restartCount"] == 0, "liveness was asked too early");
    ensure!(container(&found)["started"] == true, "{:#}", found["status"]);
    Ok(())
}

fn never(machine: &Machine) -> Result<()> {
    let ports = json!([{"name": "web", "containerPort": 8080}]);
    let of =
        |port: &str| json!({"httpGet": {"path": "/healthz", "port": port}, "periodSeconds": 1, "failureThreshold": 1});
    let spec = |probe: &str, port: &str| json!({"ports": ports, probe: of(port)});
    machine.create(pod("named", &[], spec("readinessProbe", "web")))?;
    machine.create(pod("ready", &[], spec("readinessProbe", "wbe")))?;
    let mut alive = spec("livenessProbe", "wbe");
    alive["readinessProbe"] = of("wbe");
    machine.create(pod("alive", &[], alive))?;
    machine.create(pod("started", &[], spec("startupProbe", "wbe")))?;
    machine.ready("named")?;
    let of_kind = |kind: &str| {
        format!(
            "Unhealthy: {kind} probe failed: port \"wbe\" is no number, and no port of the container has this name \
             (ports[].name)"
        )
    };
    for (name, kinds) in [
        ("ready", ["Readiness"].as_slice()),
        ("alive", &["Liveness", "Readiness"]),
        ("started", &["Startup"]),
    ] {
        let is_told = |machine: &Machine| {
            let events = machine.events(name);
            kinds.iter().all(|kind| events.contains(&of_kind(kind)))
        };
        machine.wait(name, "told of", |_| is_told(machine))?;
    }
    // More periods than their thresholds.
    std::thread::sleep(Duration::from_millis(2500));
    for name in ["ready", "alive", "started"] {
        let found = machine.wait(name, "running", |pod| pod["status"]["phase"] == "Running")?;
        ensure!(!is_ready(&found), "{name} is ready");
        ensure!(container(&found)["restartCount"] == 0, "{name} was started again");
        let told = machine
            .events(name)
            .into_iter()
            .filter(|event| event.starts_with("Unhealthy: "));
        ensure!(told.count() <= 2, "{:#?}", machine.events(name));
    }
    Ok(())
}

fn exec(machine: &Machine) -> Result<()> {
    let me = std::env::current_exe()?.display().to_string();
    let probe = json!({"exec": {"command": [me, "app", "cat", "/srv/flag"]}, "periodSeconds": 1});
    let mut pod = pod(
        "inside",
        &[],
        json!({"readinessProbe": probe, "volumeMounts": [{"name": "own", "mountPath": "/srv"}]}),
    );
    pod["spec"]["volumes"] = json!([{"name": "own", "emptyDir": {}}]);
    machine.create(pod)?;
    let found = machine.wait("inside", "running", |pod| pod["status"]["phase"] == "Running")?;
    ensure!(!is_ready(&found), "without the file");
    std::thread::sleep(Duration::from_millis(100));
    machine.get("inside", "write?/srv/flag")?;
    machine.ready("inside")?;
    ensure!(
        !std::path::Path::new("/srv/flag").exists(),
        "it was written on the machine"
    );
    Ok(())
}
