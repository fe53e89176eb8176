// SPDX-License-Identifier: Apache-2.0
//! Cells that the API server puts together for Kubernetes' own kinds.
//!
//! Invariants: an object that lacks what a cell is made of gets a cell all the same.
//! Depends on: resource.

use serde_json::{Map, Value};

use crate::resource::Made;

/// How many addresses a cell names before it counts.
const NAMED: usize = 3;

/// What stands in the cell.
pub(super) fn value(made: Made, object: &Value) -> Value {
    let (spec, status) = (&object["spec"], &object["status"]);
    match made {
        Made::ReadyContainers => {
            let all = list(&spec["containers"]).len();
            let ready = list(&status["containerStatuses"])
                .iter()
                .filter(|container| container["ready"] == true);
            format!("{}/{all}", ready.count()).into()
        }
        Made::PodState => state(object).into(),
        Made::Restarts => list(&status["containerStatuses"])
            .iter()
            .filter_map(|container| container["restartCount"].as_i64())
            .sum::<i64>()
            .into(),
        Made::ReadyReplicas => format!(
            "{}/{}",
            status["readyReplicas"].as_i64().unwrap_or(0),
            spec["replicas"].as_i64().unwrap_or(1)
        )
        .into(),
        Made::ExternalAddress => external(spec).into(),
        Made::Ports => or_none(list(&spec["ports"]).iter().map(port).collect::<Vec<_>>().join(",")).into(),
        Made::Addresses => addresses(object).into(),
        Made::SliceAddresses => {
            let endpoints = list(&object["endpoints"]).iter();
            let all = endpoints.flat_map(|endpoint| list(&endpoint["addresses"]));
            first(all.filter_map(Value::as_str).map(str::to_owned)).into()
        }
        Made::Entries => {
            let count = |key: &str| object[key].as_object().map_or(0, Map::len);
            (count("data") + count("binaryData")).into()
        }
        Made::Regarding => {
            let about = &object["involvedObject"];
            let text = |key: &str| about[key].as_str().unwrap_or_default().to_owned();
            format!("{}/{}", text("kind").to_lowercase(), text("name")).into()
        }
        Made::NodeState => {
            let ready = list(&status["conditions"])
                .iter()
                .any(|condition| condition["type"] == "Ready" && condition["status"] == "True");
            (if ready { "Ready" } else { "NotReady" }).into()
        }
        Made::Count(field) => status[field].as_i64().unwrap_or(0).into(),
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn or_none(text: String) -> String {
    if text.is_empty() { "<none>".to_owned() } else { text }
}

/// Why a pod's containers wait or have ended, else its phase; one that is being deleted is terminating.
fn state(pod: &Value) -> &str {
    let status = &pod["status"];
    if !pod["metadata"]["deletionTimestamp"].is_null() {
        return "Terminating";
    }
    list(&status["containerStatuses"])
        .iter()
        .find_map(|container| {
            let state = &container["state"];
            state["waiting"]["reason"]
                .as_str()
                .or(state["terminated"]["reason"].as_str())
        })
        .or(status["reason"].as_str())
        .or(status["phase"].as_str())
        .unwrap_or("Unknown")
}

fn external(spec: &Value) -> String {
    if let Some(name) = spec["externalName"].as_str() {
        return name.to_owned();
    }
    let all = list(&spec["externalIPs"]).iter().filter_map(Value::as_str);
    or_none(all.collect::<Vec<_>>().join(","))
}

fn port(port: &Value) -> String {
    let number = port["port"].as_i64().unwrap_or(0);
    format!("{number}/{}", port["protocol"].as_str().unwrap_or("TCP"))
}

fn addresses(endpoints: &Value) -> String {
    let subsets = list(&endpoints["subsets"]).iter();
    first(subsets.flat_map(|subset| {
        let ports = list(&subset["ports"]);
        let ips = list(&subset["addresses"])
            .iter()
            .filter_map(|address| address["ip"].as_str());
        ips.flat_map(move |ip| {
            ports
                .iter()
                .map(move |port| format!("{ip}:{}", port["port"].as_i64().unwrap_or(0)))
        })
    }))
}

fn first(all: impl Iterator<Item = String>) -> String {
    let all: Vec<_> = all.collect();
    let named = all.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(",");
    match all.len().saturating_sub(NAMED) {
        0 => or_none(named),
        more => format!("{named} + {more} more..."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_pod_says_what_its_containers_do() {
        let mut pod = json!({"metadata": {}, "spec": {"containers": [{}, {}]}, "status": {"phase": "Running",
            "containerStatuses": [{"ready": true, "restartCount": 2, "state": {"running": {}}},
                {"ready": false, "restartCount": 1, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}]}});
        assert_eq!(value(Made::ReadyContainers, &pod), "1/2");
        assert_eq!(value(Made::Restarts, &pod), 3);
        assert_eq!(value(Made::PodState, &pod), "CrashLoopBackOff");
        pod["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        assert_eq!(value(Made::PodState, &pod), "Terminating");
        assert_eq!(
            value(Made::PodState, &json!({"status": {"phase": "Pending"}})),
            "Pending"
        );
        assert_eq!(value(Made::ReadyContainers, &json!({})), "0/0");
    }

    #[test]
    fn workloads_and_services_are_counted() {
        let deployment = json!({"spec": {"replicas": 3}, "status": {"readyReplicas": 2}});
        assert_eq!(value(Made::ReadyReplicas, &deployment), "2/3");
        assert_eq!(value(Made::Count("updatedReplicas"), &deployment), 0);
        let service = json!({"spec": {"ports": [{"port": 80, "protocol": "TCP"}, {"port": 443}]}});
        assert_eq!(value(Made::Ports, &service), "80/TCP,443/TCP");
        assert_eq!(value(Made::ExternalAddress, &service), "<none>");
        let name = json!({"spec": {"externalName": "x.org"}});
        assert_eq!(value(Made::ExternalAddress, &name), "x.org");
    }

    #[test]
    fn addresses_are_named_and_then_counted() {
        let ips = ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"].map(|ip| json!({"ip": ip}));
        let endpoints = json!({"subsets": [{"addresses": ips, "ports": [{"port": 80}]}]});
        let shown = value(Made::Addresses, &endpoints);
        assert_eq!(shown, "10.0.0.1:80,10.0.0.2:80,10.0.0.3:80 + 1 more...");
        let slice = json!({"endpoints": [{"addresses": ["10.0.0.1"]}]});
        assert_eq!(value(Made::SliceAddresses, &slice), "10.0.0.1");
        assert_eq!(value(Made::Addresses, &json!({})), "<none>");
    }
}
