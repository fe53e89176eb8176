// SPDX-License-Identifier: Apache-2.0
//! What a container may use, where this machine's cgroups can say so.

use anyhow::{Result, ensure};
use serde_json::json;

use crate::Case;
use crate::machine::{Machine, container, pod};

pub(crate) const CASES: &[Case] = &[Case {
    name: "limits::a_container_is_killed_for_memory_or_the_pod_says_that_it_is_not_limited",
    check: memory,
}];

fn memory(machine: &Machine) -> Result<()> {
    let limits = json!({"resources": {"limits": {"memory": "64Mi", "cpu": "500m"}}});
    machine.create(pod("small", &[], limits))?;
    let found = machine.ready("small")?;
    ensure!(found["status"]["qosClass"] == "Guaranteed", "{:#}", found["status"]);
    let events = machine.events("small");
    if events
        .iter()
        .any(|event| event.starts_with("LimitsNotEnforced: ") && event.contains("memory"))
    {
        return Ok(());
    }
    ensure!(
        machine.get("small", "allocate?16")? == (16 << 20).to_string(),
        "within the limit"
    );
    // The answer is the end of the connection.
    let _ = machine.get("small", "allocate?256");
    let found = machine.wait("small", "started again", |pod| container(pod)["restartCount"] == 1)?;
    let last = &container(&found)["lastState"]["terminated"];
    ensure!(last["reason"] == "OOMKilled" && last["exitCode"] == 137, "{last}");
    machine.ready("small").map(drop)
}
