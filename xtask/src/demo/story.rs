// SPDX-License-Identifier: Apache-2.0
//! The story: a few services on `sluice standalone`, from zero to many pods and back.
//!
//! Mechanism: an instance with places of its own (`instance`), objects changed through its API (`api`), clients that count
//! their answers (`crowd`), and chapters that say what happens while it happens.
//! Invariants: every figure is measured, every chapter checks what it tells; the instance ends with the story.
//! Depends on: interrupt, process.

mod api;
mod burst;
mod crowd;
mod foreign;
mod http;
mod instance;
mod random;
mod scale;
mod stage;
mod tell;
mod traffic;
mod zero;

use super::interrupt::Interrupt;
use anyhow::{Context, Result};
use api::Api;
use instance::{Instance, Places};
use stage::Stage;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How the story is played.
pub(super) struct Manner<'a> {
    /// The program.
    pub(super) sluice: &'a Path,
    /// Whether the instance stays after the story.
    pub(super) stays: bool,
    /// What objects are changed with; HTTP without it.
    pub(super) kubectl: Option<PathBuf>,
    /// Whether somebody wants it to end.
    pub(super) interrupt: &'a Interrupt,
}

/// A title, and what happens below it.
type Chapter = (&'static str, fn(&Stage<'_>) -> Result<()>);

/// Plays it, and ends clean.
pub(super) fn play(manner: &Manner<'_>) -> Result<()> {
    let begun = Instant::now();
    let places = Places::take(manner.sluice)?;
    let instance = Instance::start(manner.sluice, &places, manner.interrupt)?;
    let played = tell_all(manner, &instance, &places);
    if played.is_ok() && manner.stays {
        println!("\nIt stays until Ctrl-C.");
        while manner.interrupt.sleep(Duration::from_secs(1)).is_ok() {}
    }
    let ending = Instant::now();
    let ended = instance.end();
    played.with_context(|| format!("sluice standalone said last: {:?}", places.last_words()))?;
    ended?;
    places.check_gone()?;
    println!(
        "\nEnded within {:.1} s; nothing is left: processes, devices, cgroups, mounts, pinned programs are gone. {:.0} s in all.",
        ending.elapsed().as_secs_f64(),
        begun.elapsed().as_secs_f64()
    );
    Ok(())
}

fn tell_all(manner: &Manner<'_>, instance: &Instance, places: &Places) -> Result<()> {
    let stage = Stage {
        api: Api::new(instance.api(), places, manner.kubectl.clone()),
        gateway: instance.gateway(),
        interrupt: manner.interrupt,
    };
    let chapters: [Chapter; 8] = [
        ("Hello world, from zero", zero::hello),
        ("A target of 1, and 4 clients", scale::target_of_one),
        ("A target of 10 at 70 %, and 28 clients", scale::target_of_ten),
        ("Two revisions, half the requests each", traffic::split),
        ("Blue and green", traffic::switch),
        ("A gradual rollout, and one command back", traffic::rollout),
        ("A burst of 500 to a service at zero", burst::burst),
        ("An app that nobody here wrote", foreign::app),
    ];
    for (number, (title, chapter)) in chapters.iter().enumerate() {
        tell::chapter(number + 1, title);
        chapter(&stage).with_context(|| format!("chapter {}, {title:?}", number + 1))?;
        manner.interrupt.check()?;
    }
    tell::chapter(chapters.len() + 1, "Back to zero");
    zero::rest(&stage).context("the last chapter")?;
    farewell(instance, places);
    Ok(())
}

/// What to try.
fn farewell(instance: &Instance, places: &Places) {
    let port = instance.gateway().port();
    println!(
        "\nTo try by hand, with an instance that stays (cargo xtask demo --stay; these are this one's addresses):"
    );
    println!("  curl http://hello.default.localhost:{port}              # from zero again");
    println!("  curl http://random.default.localhost:{port}             # the Python app");
    println!("  curl http://green-shop.default.localhost:{port}         # a revision by its tag");
    println!("  export KUBECONFIG={}", places.kubeconfig().display());
    println!("  kubectl get ksvc,revision,podautoscaler,pod");
    println!("  kubectl describe ksvc shop; kubectl logs deployment/random-00001-deployment");
    println!("  curl http://{}/metrics", instance.metrics());
}
