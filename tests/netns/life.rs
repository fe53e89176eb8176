// SPDX-License-Identifier: Apache-2.0
//! Life of the programs: restart, kill -9, swap, generations, neighbours, tiers, limits.

mod events;
pub(crate) mod generations;
mod restart;
mod thresholds;
mod tiers;

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};

use anyhow::{Context, Result, ensure};
use kernel::sys::link::{self, AttachPoint};
use kernel::sys::program::{self, Instruction, Kind};
use kernel::{Hooks, Netns, PodId, PodKey, TrackError};
use tests::client::{Http1, get};
use tests::counter::{Counter, key_of};
use tests::rig::{Field, POD_PORT, Rig};
use tests::scene::Scene;
use tests::suite::{Case, case, case_on_rig};
use tests::truth::{Protocol, Server};

use crate::http1::connections;

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = vec![
        case(
            "life::connections_older_than_the_attachment_are_unaccounted_not_zero",
            older_connections,
        ),
        case_on_rig(
            "life::counting_is_exact_with_a_foreign_program_attached_before",
            |rig| foreign(rig, true),
        ),
        case_on_rig("life::counting_is_exact_with_a_foreign_program_attached_after", |rig| {
            foreign(rig, false)
        }),
        case_on_rig(
            "life::counting_is_exact_below_a_foreign_program_on_the_parent",
            foreign_parent,
        ),
        case(
            "life::an_untracked_pod_counts_nothing_new_and_finishes_what_is_open",
            untracked,
        ),
        case("life::a_full_pod_map_is_a_typed_error_and_disturbs_nobody", full),
        case("life::detaching_ends_counting_and_leaves_nothing_attached", detached),
        case("life::a_cgroup_that_vanished_is_a_typed_error", vanished),
        case("life::cleanup_removes_exactly_what_was_recorded", cleanup),
    ];
    cases.extend(restart::cases());
    cases.extend(events::cases());
    cases.extend(thresholds::cases());
    cases.extend(tiers::cases());
    cases.extend(generations::cases());
    cases
}

/// A connection from before: reported as unaccounted, its requests not counted, later ones are.
fn older_connections(scene: &mut Scene<'_>) -> Result<()> {
    let cgroup = scene.field.cgroup.path().to_owned();
    scene.counter().kernel()?.detach(&cgroup)?;
    scene.serve(Server::of(Protocol::Raw))?;
    let old = scene.client(async |address, clock| {
        let mut client = Http1::connect(address, clock).await?;
        client.exchange(get("/")).await?;
        Ok(socket2::SockRef::from(&*client.stream()).try_clone()?)
    })?;
    scene.counter().kernel()?.attach(
        &cgroup,
        Hooks {
            account: true,
            redirect: false,
        },
    )?;
    connections(scene, 3, vec![get("/")])?;
    let netns = Netns::at(&scene.field.pod.path())?;
    let accounted = scene.counter().kernel()?.accounted(&netns, POD_PORT)?;
    ensure!(accounted.unaccounted == 1, "{accounted:?}");
    drop(old);
    scene.wait(|truth| truth.open == 0)?;
    let rest = scene.balanced()?;
    ensure!(rest.counted.started == 3 && rest.truth.started == 4, "{rest:?}");
    let accounted = scene.counter().kernel()?.accounted(&netns, POD_PORT)?;
    ensure!(accounted.unaccounted == 0, "{accounted:?}");
    Ok(())
}

/// Programs of somebody else that let everything pass, held by their links.
fn neighbours(cgroup: &std::path::Path) -> Result<Vec<OwnedFd>> {
    let cgroup = File::open(cgroup)?;
    let pass = [Instruction::set(0, 1), Instruction::exit()];
    let places = [
        (Kind::CgroupSkb, AttachPoint::Ingress),
        (Kind::CgroupSkb, AttachPoint::Egress),
        (Kind::SockOps, AttachPoint::SockOps),
    ];
    let attach = |(kind, at)| {
        let program = program::load(kind, Some(at), &pass)?;
        link::create(program.as_fd(), cgroup.as_fd(), at)
    };
    places
        .into_iter()
        .map(|place| attach(place).context("a foreign program"))
        .collect()
}

fn foreign(rig: &Rig, before: bool) -> Result<()> {
    let mut foreign = Vec::new();
    let open = |rig: &Rig, field: &Field| -> Result<Counter> {
        if before {
            foreign = neighbours(field.cgroup.path())?;
        }
        let counter = Counter::open(rig, field)?;
        if !before {
            foreign = neighbours(field.cgroup.path())?;
        }
        Ok(counter)
    };
    let mut scene = Scene::with_counter(rig, "foreign", open)?;
    ensure!(foreign.len() == 3, "the case itself: no neighbours");
    beside(&mut scene)
}

fn foreign_parent(rig: &Rig) -> Result<()> {
    let _foreign = neighbours(rig.cgroup().path())?;
    beside(&mut Scene::new(rig, "foreign-parent")?)
}

fn beside(scene: &mut Scene<'_>) -> Result<()> {
    scene.serve(Server::of(Protocol::Raw))?;
    connections(
        scene,
        10,
        vec![get("/"), get("/bytes/100000"), get("/chunked/5000/100")],
    )?;
    scene.exact(30)
}

fn untracked(scene: &mut Scene<'_>) -> Result<()> {
    scene.serve(Server::of(Protocol::Raw))?;
    let key = key_of(&scene.field, POD_PORT)?;
    scene.client(async |address, clock| {
        let mut open = Http1::connect(address, clock).await?;
        open.exchange(get("/")).await?;
        scene.counter().kernel()?.untrack(&key)?;
        open.exchange(get("/")).await?;
        let mut new = Http1::connect(address, clock).await?;
        new.exchange(get("/")).await?;
        Ok(())
    })?;
    let rest = scene.balanced()?;
    ensure!(rest.counted.started == 2 && rest.counted.connections == 1, "{rest:?}");
    Ok(())
}

fn full(scene: &mut Scene<'_>) -> Result<()> {
    scene.serve(Server::of(Protocol::Raw))?;
    let kernel = scene.counter().kernel()?;
    let room = scene.counter().settings().pods;
    let refused = kernel.track(key_of(&scene.field, 1)?, PodId(room), 0);
    ensure!(matches!(refused, Err(TrackError::Full { .. })), "{refused:?}");
    // Ports beyond the room of the map of keys: refused, too.
    let base = key_of(&scene.field, 0)?;
    let mut refused = 0;
    for port in 10_000..10_000 + 4 * room as u16 {
        refused += u32::from(kernel.track(PodKey { port, ..base }, PodId(2), 0).is_err());
    }
    ensure!(refused > 0, "the map of keys never was full");
    connections(scene, 5, vec![get("/"); 3])?;
    scene.exact(15)
}

fn detached(scene: &mut Scene<'_>) -> Result<()> {
    scene.serve(Server::of(Protocol::Raw))?;
    connections(scene, 2, vec![get("/")])?;
    scene.exact(2)?;
    let cgroup = scene.field.cgroup.path().to_owned();
    scene.counter().kernel()?.detach(&cgroup)?;
    connections(scene, 2, vec![get("/")])?;
    let rest = scene.balanced()?;
    ensure!(rest.counted.started == 2 && rest.truth.started == 4, "{rest:?}");
    nothing_attached(&cgroup)
}

/// Asks the kernel, not us.
fn nothing_attached(cgroup: &std::path::Path) -> Result<()> {
    let cgroup = File::open(cgroup)?;
    for at in [
        AttachPoint::Ingress,
        AttachPoint::Egress,
        AttachPoint::SockOps,
        AttachPoint::Connect4,
    ] {
        let attached = program::attached(cgroup.as_fd(), at)?;
        ensure!(attached.is_empty(), "{at:?}: {attached:?}");
    }
    Ok(())
}

fn vanished(scene: &mut Scene<'_>) -> Result<()> {
    let gone = scene.field.cgroup.child("gone")?;
    let path = gone.path().to_owned();
    drop(gone);
    let refused = scene.counter().kernel()?.attach(
        &path,
        Hooks {
            account: true,
            redirect: false,
        },
    );
    ensure!(refused.is_err(), "attached to nothing");
    beside(scene)
}

fn cleanup(scene: &mut Scene<'_>) -> Result<()> {
    let cgroup = scene.field.cgroup.path().to_owned();
    let settings = scene.counter().settings().clone();
    scene.counter_mut().close();
    // Something of somebody else beside the pins stays.
    let foreign = settings.pin_dir.with_file_name("foreign");
    std::fs::create_dir(&foreign)?;
    kernel::cleanup(&settings)?;
    ensure!(foreign.exists(), "a folder of somebody else was removed");
    std::fs::remove_dir(&foreign)?;
    let left: Vec<_> = std::fs::read_dir(&settings.pin_dir)
        .into_iter()
        .flatten()
        .flatten()
        .collect();
    ensure!(left.is_empty(), "left behind: {left:?}");
    nothing_attached(&cgroup)
}
