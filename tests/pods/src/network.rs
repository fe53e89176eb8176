// SPDX-License-Identifier: Apache-2.0
//! Pods, their addresses and names.

use std::net::{Ipv4Addr, TcpListener};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use standalone::state::State;

use crate::Case;
use crate::machine::{Machine, PATIENCE, ip, pod, pod_with};

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "network::the_host_and_another_pod_reach_a_pod_and_a_pod_the_host",
        check: reach,
    },
    Case {
        name: "network::a_pod_knows_its_names_and_who_answers_its_dns",
        check: names,
    },
    Case {
        name: "network::the_data_plane_is_told_of_pods_before_they_run_and_until_they_have_ended",
        check: told,
    },
    Case {
        name: "network::fifty_pods_start_side_by_side",
        check: fifty,
    },
    Case {
        name: "network::what_a_neighbour_remembers_stays_true_while_pods_come_and_go",
        check: neighbours,
    },
    Case {
        name: "network::a_pod_without_a_free_address_says_so_once_and_gets_the_next",
        check: crowded,
    },
];

fn reach(machine: &Machine) -> Result<()> {
    machine.create(pod(
        "one",
        &[],
        json!({"env": [{"name": "TARGET", "value": "from one"}]}),
    ))?;
    machine.create(pod("two", &[], json!({})))?;
    let one = machine.ready("one")?;
    machine.ready("two")?;
    ensure!(machine.get("one", "hello")? == "hello from one", "from the host");
    let path = format!("get?{}:8080/hello", ip(&one));
    ensure!(machine.get("two", &path)? == "hello from one", "from another pod");
    let host = machine.settings.range.host();
    let listener = TcpListener::bind((host, 0))?;
    let port = listener.local_addr()?.port();
    let server = std::thread::spawn(move || -> std::io::Result<String> {
        use std::io::{Read as _, Write as _};
        let (mut stream, from) = listener.accept()?;
        let _ = stream.read(&mut [0; 1024])?;
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nthe host")?;
        Ok(from.ip().to_string())
    });
    ensure!(
        machine.get("two", &format!("get?{host}:{port}/"))? == "the host",
        "from a pod to the host"
    );
    let from = server.join().ok().context("server")??;
    ensure!(
        from == ip(&*machine.ready("two")?),
        "the host sees the pod's own address, not {from}"
    );
    ensure!(
        machine.get("two", "get?127.0.0.1:8080/hello")? == "hello world",
        "its own loopback"
    );
    Ok(())
}

fn names(machine: &Machine) -> Result<()> {
    machine.create(pod("named", &[], json!({})))?;
    let found = machine.ready("named")?;
    let resolv = machine.get("named", "file?/etc/resolv.conf")?;
    let host = machine.settings.range.host();
    ensure!(resolv.contains(&format!("nameserver {host}\n")), "{resolv}");
    ensure!(
        resolv.contains("search default.svc.cluster.local svc.cluster.local cluster.local\n"),
        "{resolv}"
    );
    ensure!(resolv.contains("ndots:5"), "{resolv}");
    let hosts = machine.get("named", "file?/etc/hosts")?;
    ensure!(hosts.contains(&format!("{}\tnamed\n", ip(&found))), "{hosts}");
    ensure!(machine.get("named", "who")?.contains("host=named "), "the host name");
    ensure!(
        !std::fs::read_to_string("/etc/hosts")?.contains("Made by sluice"),
        "the machine's own hosts changed"
    );
    Ok(())
}

fn told(machine: &Machine) -> Result<()> {
    machine.create(pod_with(json!({}), {
        let mut pod = pod("seen", &[], json!({"env": [{"name": "LISTEN_MS", "value": "300"}]}));
        pod["metadata"]["labels"] = json!({"app": "seen"});
        pod
    }))?;
    machine.wait("seen", "given an address", |pod| !ip(pod).is_empty())?;
    let told = machine.running();
    let one = told.iter().find(|pod| pod.name == "seen").context("not told")?;
    ensure!(one.labels.get("app").is_some_and(|app| app == "seen"), "{one:?}");
    ensure!(one.netns.exists() && one.cgroup.exists(), "{one:?}");
    let found = machine.ready("seen")?;
    ensure!(one.ip == ip(&found).parse::<Ipv4Addr>()?, "{one:?}");
    let inside = std::fs::read_to_string(one.cgroup.join("0/cgroup.procs"))?;
    ensure!(!inside.is_empty(), "no process in {}", one.cgroup.display());
    let cgroup = one.cgroup.clone();
    machine.delete("seen", None)?;
    machine.gone("seen")?;
    ensure!(machine.running().is_empty(), "still told");
    ensure!(!cgroup.exists(), "its cgroup is left");
    Ok(())
}

/// A bridge without a hardware address of its own takes its lowest port's: pods that remember another lose the host.
fn neighbours(machine: &Machine) -> Result<()> {
    let host = machine.settings.range.host();
    let devices = std::fs::read_dir("/sys/class/net")?.flatten().map(|entry| entry.path());
    let bridge = devices
        .filter(|path| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with(&machine.settings.prefix))
        })
        .find(|path| path.join("bridge").is_dir())
        .context("no bridge")?;
    let of_host = || std::fs::read_to_string(bridge.join("address"));
    for number in 0..8 {
        machine.create(pod(&format!("p{number}"), &[], json!({})))?;
    }
    for number in 0..8 {
        let name = format!("p{number}");
        let found = machine.ready(&name)?;
        ensure!(of_host()? == hardware(host), "{} when {name} came", of_host()?);
        let remembered = std::fs::read_to_string("/proc/net/arp")?;
        let line = remembered
            .lines()
            .find(|line| line.split_whitespace().next() == Some(ip(&found)));
        let line = line.with_context(|| format!("{name} was probed, and its neighbour does not know it"))?;
        let own = hardware(ip(&found).parse()?);
        ensure!(line.contains(own.trim()), "{name} should have {own}: {line}");
    }
    for number in 0..8 {
        machine.delete(&format!("p{number}"), Some(1))?;
        machine.gone(&format!("p{number}"))?;
        ensure!(of_host()? == hardware(host), "{} when p{number} went", of_host()?);
    }
    Ok(())
}

fn hardware(ip: Ipv4Addr) -> String {
    let [a, b, c, d] = ip.octets();
    format!("0a:58:{a:02x}:{b:02x}:{c:02x}:{d:02x}\n")
}

fn fifty(machine: &Machine) -> Result<()> {
    for number in 0..50 {
        machine.create(pod(&format!("p{number}"), &[], json!({})))?;
    }
    let mut seen = std::collections::BTreeSet::new();
    for number in 0..50 {
        let found = machine.ready(&format!("p{number}"))?;
        ensure!(seen.insert(ip(&found).to_owned()), "an address twice");
        ensure!(
            machine.get(&format!("p{number}"), "hello")? == "hello world",
            "p{number}"
        );
    }
    for number in 0..50 {
        machine.delete(&format!("p{number}"), Some(1))?;
    }
    (0..50).try_for_each(|number| machine.gone(&format!("p{number}")))
}

fn crowded(outer: &Machine) -> Result<()> {
    let mut settings = outer.neighbour()?;
    (settings.range.prefix, settings.warm) = (29, 0);
    let machine = Machine::with(settings, State::in_memory())?;
    let names: Vec<String> = (0..machine.settings.range.room()).map(|at| format!("p{at}")).collect();
    for name in &names {
        machine.create(pod(name, &[], json!({})))?;
        machine.ready(name)?;
    }
    machine.create(pod("waits", &[], json!({})))?;
    let told = "FailedCreatePodSandBox: Failed to create pod sandbox: no address is free for another pod: widen the pods' range";
    let until = Instant::now() + PATIENCE;
    while machine.events("waits") != [told] {
        ensure!(Instant::now() < until, "{:#?}", machine.events("waits"));
        std::thread::sleep(Duration::from_millis(20));
    }
    // It looks again once a second.
    std::thread::sleep(Duration::from_secs(3));
    ensure!(machine.events("waits") == [told], "{:#?}", machine.events("waits"));
    machine.delete("p0", None)?;
    machine.ready("waits")?;
    machine.end()
}
