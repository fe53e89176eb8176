// SPDX-License-Identifier: Apache-2.0
//! How containers and pods end, and what they leave to be read.

use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use standalone::logs::Wanted;

use crate::Case;
use crate::machine::{Machine, container, pod, pod_with, waits};

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "ends::a_container_that_keeps_ending_waits_ever_longer_and_says_why",
        check: crash_loop,
    },
    Case {
        name: "ends::a_pod_that_is_not_started_again_has_succeeded_or_failed",
        check: once,
    },
    Case {
        name: "ends::a_container_ends_by_itself_within_its_grace",
        check: graceful,
    },
    Case {
        name: "ends::a_container_that_does_not_end_is_killed_when_its_grace_is_over",
        check: killed,
    },
    Case {
        name: "ends::hooks_are_done_before_a_container_is_told_to_end",
        check: hooks,
    },
    Case {
        name: "ends::what_a_program_that_is_not_there_says",
        check: no_program,
    },
    Case {
        name: "ends::logs_have_their_end_their_times_and_the_run_before",
        check: logs,
    },
];

fn crash_loop(machine: &Machine) -> Result<()> {
    machine.create(pod(
        "crash",
        &["crash", "3"],
        json!({"terminationMessagePolicy": "FallbackToLogsOnError"}),
    ))?;
    let found = machine.wait("crash", "waiting", |pod| waits(pod) == "CrashLoopBackOff")?;
    let status = container(&found);
    let message = status["state"]["waiting"]["message"].as_str().unwrap_or_default();
    let uid = found["metadata"]["uid"].as_str().unwrap_or_default();
    ensure!(
        message.ends_with(&format!("restarting failed container=c pod=crash_default({uid})")),
        "{message}"
    );
    let last = &status["lastState"]["terminated"];
    ensure!(last["exitCode"] == 3 && last["reason"] == "Error", "{last}");
    ensure!(
        last["message"]
            .as_str()
            .is_some_and(|text| text.contains("last words\n")),
        "{last}"
    );
    machine.wait("crash", "started a fourth time", |pod| {
        container(pod)["restartCount"].as_u64() >= Some(3)
    })?;
    machine.delete("crash", None)?;
    machine.gone("crash")
}

fn once(machine: &Machine) -> Result<()> {
    let never = json!({"restartPolicy": "Never"});
    machine.create(pod_with(never.clone(), pod("well", &["lines", "2"], json!({}))))?;
    machine.create(pod_with(never, pod("badly", &["crash", "7"], json!({}))))?;
    let found = machine.wait("well", "over", |pod| pod["status"]["phase"] == "Succeeded")?;
    ensure!(
        container(&found)["state"]["terminated"]["reason"] == "Completed",
        "{:#}",
        found["status"]
    );
    let found = machine.wait("badly", "over", |pod| pod["status"]["phase"] == "Failed")?;
    ensure!(
        container(&found)["state"]["terminated"]["exitCode"] == 7,
        "{:#}",
        found["status"]
    );
    ensure!(
        machine.logs("well", &Wanted::default())? == "line 1\nline 2\n",
        "its log stays"
    );
    machine.delete("well", None)?;
    machine.gone("well")
}

fn graceful(machine: &Machine) -> Result<()> {
    machine.create(pod(
        "polite",
        &[],
        json!({"env": [{"name": "TERM_MS", "value": "300"}]}),
    ))?;
    machine.ready("polite")?;
    let follow = Wanted {
        follow: true,
        ..Wanted::default()
    };
    std::thread::scope(|scope| {
        let reading = scope.spawn(|| machine.logs("polite", &follow));
        std::thread::sleep(std::time::Duration::from_millis(100));
        let begun = Instant::now();
        // Longer than anybody waits for it.
        machine.delete("polite", Some(600))?;
        machine.gone("polite")?;
        let took = begun.elapsed();
        ensure!(took.as_millis() >= 300, "it was not left its time: {took:?}");
        let log = reading.join().ok().context("reader")??;
        ensure!(log.contains("asked to end\n"), "{log}");
        Ok(())
    })
}

fn killed(machine: &Machine) -> Result<()> {
    machine.create(pod(
        "deaf",
        &[],
        json!({"env": [{"name": "TERM_MS", "value": "60000"}]}),
    ))?;
    machine.ready("deaf")?;
    let begun = Instant::now();
    machine.delete("deaf", Some(1))?;
    machine.gone("deaf")?;
    let took = begun.elapsed();
    ensure!(took.as_millis() >= 900, "it was not left its grace: {took:?}");
    Ok(())
}

fn hooks(machine: &Machine) -> Result<()> {
    let me = std::env::current_exe()?.display().to_string();
    let of = |name: &str, hook: serde_json::Value| {
        let container = json!({
            "lifecycle": {"preStop": hook}, "ports": [{"name": "web", "containerPort": 8080}],
            "env": [{"name": "TERM_MS", "value": "10"}], "volumeMounts": [{"name": "kept", "mountPath": "/srv"}],
        });
        let volumes = json!({"volumes": [{"name": "kept", "hostPath": {"path": machine.folder}}]});
        pod_with(volumes, pod(name, &[], container))
    };
    // The server must serve still, its container must be there still.
    let asks = json!({"httpGet": {"path": "/write?/srv/http", "port": "web"}});
    machine.create(of("http", asks))?;
    machine.create(of(
        "exec",
        json!({"exec": {"command": [me, "app", "touch", "/srv/exec"]}}),
    ))?;
    machine.create(of("sleep", json!({"sleep": {"seconds": 1}})))?;
    machine.create(of("fails", json!({"httpGet": {"path": "/", "port": "wbe"}})))?;
    for name in ["http", "exec", "sleep", "fails"] {
        machine.ready(name)?;
    }
    for name in ["http", "exec", "fails"] {
        machine.delete(name, None)?;
        machine.gone(name)?;
    }
    let read = |name: &str| std::fs::read_to_string(machine.folder.join(name)).unwrap_or_default();
    ensure!(
        (read("http"), read("exec")) == ("written".to_owned(), "touched\n".to_owned()),
        "what hooks wrote"
    );
    let failed: Vec<_> = machine.events("fails");
    let words = "FailedPreStopHook: PreStopHook of container c failed: port \"wbe\" is no number";
    ensure!(failed.iter().any(|event| event.starts_with(words)), "{failed:#?}");
    for name in ["http", "exec", "sleep"] {
        let events = machine.events(name);
        ensure!(
            !events.iter().any(|event| event.starts_with("FailedPreStopHook")),
            "{events:#?}"
        );
    }
    let begun = Instant::now();
    machine.delete("sleep", None)?;
    machine.gone("sleep")?;
    let took = begun.elapsed();
    ensure!(
        took.as_millis() >= 1000,
        "it was told to end before its hook was done: {took:?}"
    );
    Ok(())
}

fn no_program(machine: &Machine) -> Result<()> {
    machine.create(pod("nothing", &[], json!({"command": ["/no/such/program"]})))?;
    let found = machine.wait("nothing", "waiting", |pod| waits(pod) == "CrashLoopBackOff")?;
    let last = &container(&found)["lastState"]["terminated"];
    ensure!(last["reason"] == "StartError" && last["exitCode"] == 128, "{last}");
    let words = "exec: \"/no/such/program\": stat /no/such/program: no such file or directory";
    ensure!(last["message"] == words, "{last}");
    Ok(())
}

fn logs(machine: &Machine) -> Result<()> {
    machine.create(pod("talks", &["lines", "5"], json!({})))?;
    // The fourth start is far enough away for the looks below.
    machine.wait("talks", "started again", |pod| {
        container(pod)["restartCount"].as_u64() >= Some(3)
    })?;
    machine.wait("talks", "waiting", |pod| waits(pod) == "CrashLoopBackOff")?;
    let all = "line 1\nline 2\nline 3\nline 4\nline 5\n";
    let of = |wanted: Wanted| machine.logs("talks", &wanted);
    let usual = Wanted::default;
    ensure!(of(usual())? == all, "whole");
    let previous = Wanted {
        previous: true,
        ..usual()
    };
    ensure!(of(previous)? == all, "the run before");
    let tail_lines = Some(2);
    ensure!(of(Wanted { tail_lines, ..usual() })? == "line 4\nline 5\n", "tail");
    let timestamps = true;
    ensure!(of(Wanted { timestamps, ..usual() })?.starts_with("20"), "times");
    let container = Some("no".to_owned());
    let refused = of(Wanted { container, ..usual() }).unwrap_err().to_string();
    ensure!(refused == "container no is not valid for pod talks", "{refused}");
    Ok(())
}
