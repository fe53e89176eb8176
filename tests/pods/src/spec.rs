// SPDX-License-Identifier: Apache-2.0
//! What a spec asks for and a container gets.

use anyhow::{Result, ensure};
use serde_json::json;

use crate::Case;
use crate::machine::{Machine, container, pod, pod_with, waits};

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "spec::environment_comes_from_maps_secrets_fields_and_resources",
        check: environment,
    },
    Case {
        name: "spec::volumes_are_seen_where_they_are_mounted_and_the_machine_stays_as_it_is",
        check: volumes,
    },
    Case {
        name: "spec::a_container_waits_for_a_map_that_is_not_there_yet",
        check: waits_for_map,
    },
    Case {
        name: "spec::users_groups_and_capabilities_are_those_of_the_security_context",
        check: users,
    },
    Case {
        name: "spec::a_read_only_root_is_written_to_in_volumes_alone",
        check: read_only,
    },
    Case {
        name: "spec::what_is_asked_for_and_not_done_is_told_once",
        check: ignored,
    },
    Case {
        name: "spec::init_containers_run_in_order_before_the_others",
        check: init,
    },
    Case {
        name: "spec::containers_of_a_pod_share_its_network_and_volumes",
        check: several,
    },
];

fn environment(machine: &Machine) -> Result<()> {
    machine.put(
        "configmaps",
        json!({"metadata": {"name": "settings"}, "data": {"colour": "blue"}}),
    )?;
    machine.put(
        "secrets",
        json!({"metadata": {"name": "keys"}, "data": {"key": "c2VjcmV0"}}),
    )?;
    machine.create(pod(
        "env",
        &[],
        json!({
            "envFrom": [{"configMapRef": {"name": "settings"}}],
            "env": [
                {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "key"}}},
                {"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                {"name": "BOTH", "value": "$(colour)/$(NAME)"},
            ],
        }),
    ))?;
    machine.ready("env")?;
    for (name, value) in [
        ("colour", "blue"),
        ("KEY", "secret"),
        ("BOTH", "blue/env"),
        ("CARGO_MANIFEST_DIR", "(none)"),
    ] {
        let found = machine.get("env", &format!("env?{name}"))?;
        ensure!(found == value, "{name}={found}");
    }
    Ok(())
}

fn volumes(machine: &Machine) -> Result<()> {
    machine.put(
        "configmaps",
        json!({"metadata": {"name": "files"}, "data": {"a": "first", "b": "second"}}),
    )?;
    machine.put(
        "secrets",
        json!({"metadata": {"name": "tls"}, "data": {"key": "c2VjcmV0"}}),
    )?;
    let spec = json!({"volumes": [
        {"name": "map", "configMap": {"name": "files", "items": [{"key": "a", "path": "deep/one"}]}},
        {"name": "space", "emptyDir": {}},
        {"name": "all", "projected": {"sources": [
            {"secret": {"name": "tls"}}, {"configMap": {"name": "files"}},
            {"downwardAPI": {"items": [{"path": "name", "fieldRef": {"fieldPath": "metadata.name"}}]}},
        ]}},
    ]});
    let mounts = json!({"volumeMounts": [
        {"name": "map", "mountPath": "/sluice-case/map", "readOnly": true},
        {"name": "space", "mountPath": "/sluice-case/space"},
        {"name": "all", "mountPath": "/sluice-case/all"},
        {"name": "map", "mountPath": "/sluice-case/single", "subPath": "deep/one"},
    ]});
    machine.create(pod_with(spec, pod("vol", &[], mounts)))?;
    machine.ready("vol")?;
    for (path, text) in [
        ("map/deep/one", "first"),
        ("single", "first"),
        ("all/key", "secret"),
        ("all/b", "second"),
        ("all/name", "vol"),
    ] {
        let found = machine.get("vol", &format!("file?/sluice-case/{path}"))?;
        ensure!(found == text, "{path}: {found}");
    }
    ensure!(
        machine.get("vol", "write?/sluice-case/space/new")? == "written",
        "emptyDir"
    );
    let refused = machine
        .get("vol", "write?/sluice-case/map/new")
        .unwrap_err()
        .to_string();
    ensure!(refused.contains("Read-only"), "{refused}");
    ensure!(
        !std::path::Path::new("/sluice-case").exists(),
        "the mount point is on the machine"
    );
    machine.get("vol", "write?/sluice-at-the-root").map(drop)?;
    ensure!(
        !std::path::Path::new("/sluice-at-the-root").exists(),
        "what it wrote is on the machine"
    );
    Ok(())
}

fn waits_for_map(machine: &Machine) -> Result<()> {
    machine.create(pod(
        "later",
        &[],
        json!({"envFrom": [{"configMapRef": {"name": "late"}}]}),
    ))?;
    let found = machine.wait("later", "held", |pod| waits(pod) == "CreateContainerConfigError")?;
    let message = &container(&found)["state"]["waiting"]["message"];
    ensure!(message == "configmap \"late\" not found", "{message}");
    machine.put(
        "configmaps",
        json!({"metadata": {"name": "late"}, "data": {"colour": "red"}}),
    )?;
    machine.ready("later")?;
    ensure!(machine.get("later", "env?colour")? == "red", "its environment");
    Ok(())
}

fn users(machine: &Machine) -> Result<()> {
    let own = json!({"securityContext": {"runAsUser": 1234, "allowPrivilegeEscalation": false}});
    let spec = json!({"securityContext": {"runAsGroup": 2345, "supplementalGroups": [3456]}});
    machine.create(pod_with(spec, pod("user", &[], own)))?;
    machine.create(pod("root", &[], json!({"workingDir": "/tmp"})))?;
    machine.create(pod(
        "bare",
        &[],
        json!({"securityContext": {"capabilities": {"drop": ["ALL"]}}}),
    ))?;
    let non_root = json!({"securityContext": {"runAsNonRoot": true}});
    machine.create(pod("refused", &[], non_root))?;
    machine.ready("user")?;
    let who = machine.get("user", "who")?;
    ensure!(who.starts_with("uid=1234 gid=2345 groups=2345,3456 "), "{who}");
    ensure!(who.ends_with("caps=0000000000000000"), "{who}");
    machine.ready("root")?;
    let who = machine.get("root", "who")?;
    // The set of containerd without MKNOD.
    ensure!(
        who.starts_with("uid=0 ") && who.ends_with("caps=00000000a00425fb"),
        "{who}"
    );
    ensure!(who.contains("cwd=/tmp home=/root"), "{who}");
    machine.ready("bare")?;
    ensure!(
        machine.get("bare", "who")?.ends_with("caps=0000000000000000"),
        "capabilities"
    );
    let found = machine.wait("refused", "refused", |pod| waits(pod) == "CrashLoopBackOff")?;
    let last = &container(&found)["lastState"]["terminated"];
    ensure!(last["reason"] == "StartError" && last["exitCode"] == 128, "{last}");
    ensure!(last["message"].to_string().contains("runAsNonRoot"), "{last}");
    Ok(())
}

fn read_only(machine: &Machine) -> Result<()> {
    let own = json!({
        "securityContext": {"readOnlyRootFilesystem": true},
        "volumeMounts": [
            {"name": "space", "mountPath": "/sluice-case/space"},
            {"name": "deeper", "mountPath": "/sluice-case/space/deeper"},
        ],
    });
    let spec = json!({"volumes": [{"name": "space", "emptyDir": {}}, {"name": "deeper", "emptyDir": {}}]});
    machine.create(pod_with(spec, pod("sealed", &[], own)))?;
    machine.create(pod(
        "bare",
        &[],
        json!({"securityContext": {"readOnlyRootFilesystem": true}}),
    ))?;
    machine.ready("sealed")?;
    machine.ready("bare")?;
    for name in ["sealed", "bare"] {
        // Where the machine has mounts of its own they are no way around it.
        for path in [
            "/sluice-at-the-root",
            "/tmp/sluice-case",
            "/run/sluice-case",
            "/etc/sluice-case",
            "/etc/hosts.new",
        ] {
            let refused = machine.get(name, &format!("write?{path}")).unwrap_err().to_string();
            ensure!(refused.contains("Read-only"), "{name}: {path}: {refused}");
        }
        ensure!(machine.get(name, "write?/dev/null")? == "written", "{name}: a device");
    }
    for path in ["space/one", "space/deeper/two"] {
        let written = machine.get("sealed", &format!("write?/sluice-case/{path}"))?;
        ensure!(written == "written", "{path}: {written}");
    }
    ensure!(
        machine.get("sealed", "file?/sluice-case/space/one")? == "written",
        "what was written"
    );
    // Others have what they had.
    std::fs::write(std::env::temp_dir().join("sluice-case-open"), "")?;
    std::fs::remove_file(std::env::temp_dir().join("sluice-case-open"))?;
    Ok(())
}

fn ignored(machine: &Machine) -> Result<()> {
    let spec = json!({"shareProcessNamespace": true, "volumes": [{"name": "v", "emptyDir": {"medium": "Memory"}}]});
    machine.create(pod_with(spec, pod("asks", &[], json!({"tty": true}))))?;
    machine.create(pod("plain", &[], json!({})))?;
    machine.ready("asks")?;
    machine.ready("plain")?;
    let of = |name: &str| {
        let events = machine.events(name).into_iter();
        events
            .filter(|event| event.starts_with("FieldsIgnored"))
            .collect::<Vec<_>>()
    };
    let words = "FieldsIgnored: standalone does without: shareProcessNamespace, containers[c].tty, volumes[v].emptyDir.medium; \
                 docs/pods.md has what it does";
    ensure!(of("asks") == [words], "{:#?}", of("asks"));
    ensure!(of("plain").is_empty(), "{:#?}", of("plain"));
    Ok(())
}

fn init(machine: &Machine) -> Result<()> {
    let mount = json!([{"name": "shared", "mountPath": "/srv"}]);
    let step = |name: &str, arguments: &[&str]| json!({"name": name, "image": "app", "args": arguments, "volumeMounts": mount});
    let spec = json!({
        "volumes": [{"name": "shared", "emptyDir": {}}],
        "initContainers": [step("first", &["app", "touch", "/srv/one"]), step("second", &["app", "cat", "/srv/one"])],
    });
    machine.create(pod_with(spec, pod("staged", &[], json!({"volumeMounts": mount}))))?;
    let found = machine.ready("staged")?;
    ensure!(
        machine.get("staged", "file?/srv/one")? == "touched\n",
        "what the first left"
    );
    let statuses = &found["status"]["initContainerStatuses"];
    ensure!(
        statuses[1]["state"]["terminated"]["reason"] == "Completed",
        "{statuses}"
    );
    let wanted = standalone::logs::Wanted {
        container: Some("second".to_owned()),
        ..Default::default()
    };
    ensure!(machine.logs("staged", &wanted)? == "touched\n", "its log");
    Ok(())
}

fn several(machine: &Machine) -> Result<()> {
    let mut both = pod("both", &[], json!({}));
    let listens = json!({"tcpSocket": {"port": 9090}, "periodSeconds": 1});
    let beside = json!({"name": "beside", "image": "app", "args": ["app"], "readinessProbe": listens, "env": [
        {"name": "PORT", "value": "9090"}, {"name": "TARGET", "value": "beside"}]});
    both["spec"]["containers"].as_array_mut().unwrap().push(beside);
    machine.create(both)?;
    machine.ready("both")?;
    ensure!(
        machine.get("both", "get?127.0.0.1:9090/")? == "hello beside",
        "the other container"
    );
    let refused = machine.logs("both", &Default::default()).unwrap_err().to_string();
    ensure!(refused.contains("choose one of: [c beside]"), "{refused}");
    Ok(())
}
