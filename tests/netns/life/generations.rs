// SPDX-License-Identifier: Apache-2.0
//! Two ABIs side by side: upgrade and downgrade under load.
//!
//! The other generation is this very test binary built with `SLUICE_ABI=2` (`SLUICE_ABI2` names it) and the object of
//! `cargo xtask build --abi 2`; without them the case says so and fails.

use std::path::PathBuf;

use anyhow::{Result, bail, ensure};
use tests::counter::{Counter, Daemon};
use tests::rig::Rig;
use tests::role::{Place, Role};
use tests::scene::Scene;
use tests::suite::{Case, case_on_rig};
use tests::truth::{Protocol, Server};

use tests::client::{Http1, get};

pub(super) fn cases() -> Vec<Case> {
    vec![case_on_rig(
        "life::an_abi_upgrade_and_downgrade_under_load_lose_no_request",
        there_and_back,
    )]
}

/// The program and object of generation 2.
pub(crate) fn other() -> Result<(PathBuf, PathBuf)> {
    let Some(program) = std::env::var_os("SLUICE_ABI2").map(PathBuf::from) else {
        bail!("SLUICE_ABI2 does not name this test binary built with SLUICE_ABI=2 (cargo xtask test sets it)");
    };
    let object = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/bpf/sluice-abi2.o");
    ensure!(
        object.exists(),
        "{} is missing: cargo xtask build --abi 2",
        object.display()
    );
    Ok((program, object))
}

/// 1 → 2 → 1, a connection of every generation staying open across each change.
fn there_and_back(rig: &Rig) -> Result<()> {
    let (program, object) = other()?;
    let mut scene = Scene::with_counter(rig, "generations", |rig, _| Ok(Counter::closed(rig)))?;
    let orders = |object| Daemon {
        pins: scene.counter().settings().pin_dir.clone(),
        cgroup: scene.field.cgroup.path().to_owned(),
        netns: scene.field.pod.path(),
        object,
    };
    let (one, two) = (orders(None), orders(Some(object)));
    let start = |generation: u32| match generation {
        1 => Role::start(rig, None, None, "daemon", &one),
        _ => Role::start_program(&program, rig, Place::default(), "daemon", &two),
    };
    let mut daemon = start(1)?;
    scene.serve(Server::of(Protocol::Raw))?;
    let paths = ["/", "/chunked/2000/100", "/sleep/5", "/bytes/20000"];
    let answered = scene.client(async |address, clock| {
        let mut clients: Vec<Http1> = Vec::new();
        let mut answered = 0;
        for generation in [1, 2, 1, 2, 1] {
            daemon.kill()?;
            // One request of every older connection is in flight during the change.
            for client in &mut clients {
                client.send(get("/sleep/300")).await?;
            }
            daemon = start(generation)?;
            for client in &mut clients {
                client.reply(false).await?;
                answered += 1;
            }
            clients.push(Http1::connect(address, clock).await?);
            for client in &mut clients {
                for path in paths {
                    client.exchange(get(path)).await?;
                    answered += 1;
                }
            }
            let counted: tests::counter::Snapshot = daemon.ask("counts")?;
            ensure!(
                counted.started == answered,
                "generation {generation}: {counted:?}, expected {answered}"
            );
        }
        Ok(answered)
    })?;
    daemon.kill()?;
    scene.counter_mut().reopen()?;
    let rest = scene.balanced()?;
    // Of another generation only the exact part is known, not its connections or statuses.
    ensure!(rest.counted.started == answered, "{rest:?}, expected {answered}");
    let (measured, outer) = scene.clock().sum();
    let within = (rest.truth.inner..=outer).contains(&rest.counted.integral);
    ensure!(
        measured == answered && within,
        "the integral is not within {}..={outer}: {rest:?}",
        rest.truth.inner
    );
    let retired = scene.counter().kernel()?.retire_generations()?;
    ensure!(
        retired == [2],
        "retired {retired:?}: generation 2 has no connection left"
    );
    Ok(())
}
