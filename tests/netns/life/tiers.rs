// SPDX-License-Identifier: Apache-2.0
//! What is left where the kernel offers less.

use std::net::SocketAddr;

use anyhow::{Result, ensure};
use kernel::{Hooks, Kernel, PodKey, Refuse, Settings, Tier};
use tests::client::get;
use tests::counter::{Counter, POD};
use tests::rig::{POD_PORT, Rig};
use tests::scene::Scene;
use tests::suite::{Case, case_on_rig};
use tests::truth::{Bind, Protocol, Server};

use crate::http1::connections;

pub(super) fn cases() -> Vec<Case> {
    vec![
        case_on_rig(
            "life::without_bpf_loop_connections_are_counted_and_the_tier_says_why",
            without_loop,
        ),
        case_on_rig(
            "life::without_the_namespaces_cookie_pods_are_known_by_address",
            by_address,
        ),
    ]
}

fn without_loop(rig: &Rig) -> Result<()> {
    let refuse = Refuse {
        bpf_loop: true,
        ..Refuse::default()
    };
    let mut scene = Scene::with_counter(rig, "without-loop", |rig, field| {
        Counter::open_with(rig, field, |settings| Settings { refuse, ..settings })
    })?;
    let tier = scene.counter().kernel()?.tier().clone();
    ensure!(
        matches!(&tier, Tier::Connections { why } if !why.is_empty()),
        "{tier:?}"
    );
    scene.serve(Server::of(Protocol::Raw))?;
    connections(&scene, 10, vec![get("/"), get("/bytes/100000")])?;
    let rest = scene.balanced()?;
    ensure!(rest.counted.connections == 10 && rest.counted.closed == 10, "{rest:?}");
    Ok(())
}

fn by_address(rig: &Rig) -> Result<()> {
    let refuse = Refuse {
        netns_cookie: true,
        ..Refuse::default()
    };
    let mut scene = Scene::with_counter(rig, "by-address", |rig, field| {
        let mut counter = Counter::closed(rig);
        counter.change(|settings| Settings { refuse, ..settings });
        let kernel = Kernel::open(counter.settings().clone())?;
        ensure!(!kernel.is_by_netns(), "the cookie was used");
        kernel.attach(
            field.cgroup.path(),
            Hooks {
                account: true,
                redirect: false,
            },
        )?;
        for six in [false, true] {
            kernel.track(by(field.pod_address(six)), POD, 0)?;
        }
        counter.adopt(kernel);
        Ok(counter)
    })?;
    scene.serve(Server::of(Protocol::Raw).bind(Bind::Dual))?;
    for address in [scene.address(), scene.address6()] {
        scene.client_at(address, async |address, clock| {
            let mut client = tests::client::Http1::connect(address, clock).await?;
            client.exchange(get("/")).await?;
            client.exchange(get("/chunked/1000/10")).await?;
            Ok(())
        })?;
    }
    scene.exact(4)
}

fn by(address: SocketAddr) -> PodKey {
    let octets = match address.ip() {
        std::net::IpAddr::V4(four) => four.to_ipv6_mapped().octets(),
        std::net::IpAddr::V6(six) => six.octets(),
    };
    let mut addr = [0; 4];
    for (word, bytes) in addr.iter_mut().zip(octets.chunks(4)) {
        *word = bytes.try_into().map(u32::from_ne_bytes).unwrap_or_default();
    }
    PodKey {
        addr,
        port: POD_PORT,
        ..PodKey::default()
    }
}
