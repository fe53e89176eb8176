// SPDX-License-Identifier: Apache-2.0
//! `sluice standalone`: Knative services on one machine, without a cluster.
//!
//! Problem: newcomers and tests want the whole product from one command.
//! Mechanism: the embedded API and its native controllers, the process runner, the controllers of a cluster, the request
//! path and the kernel half are started here, in this order, and joined by `plane` and `live`.
//! Invariants: files of `-f` are tried as a whole on a copy of the objects, and nothing is applied if one is refused; a
//! start that fails leaves the pods of before as a kill does; SIGINT and SIGTERM close the gateway, end pods, then the
//! rest: every request that is here gets an answer.
//! Depends on: standalone, control, proxy, node, life, cli.

mod choices;
mod claim;
mod cluster;
mod declare;
mod figures;
mod ground;
mod images;
pub(crate) mod left;
mod listener;
mod live;
mod machine;
mod plane;
mod ports;
mod requests;
mod shown;

use std::time::Duration;

use ::proxy::Limits;
use ::standalone::runner;
use life::Tasks;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout};

use crate::cli;
use crate::failure::{Exit, Failure, doing, need_privileges};
use crate::signals::Signals;
use cluster::Cluster;
use ground::Ground;
use machine::Machine;

/// How long pods may take to end.
const GRACE: Duration = Duration::from_secs(10);
/// How long requests may take then.
const LAST: Duration = Duration::from_secs(5);
/// Signals so near each other are one wish: `timeout` signals the process and then its group, terminals and scripts alike.
const SAME: Duration = Duration::from_millis(500);
/// How long after the greeting a start is over: what was declared with it has been reconciled.
const SETTLED: Duration = Duration::from_secs(2);
/// How long what hangs may delay the end after that.
const HANGING: Duration = Duration::from_secs(2);

/// Runs the command.
pub(crate) fn run(arguments: &cli::Standalone) -> Result<Exit, Failure> {
    let declared = declare::read(&arguments.files)?;
    images::each_once(&arguments.images)?;
    let limits = match &arguments.limits {
        Some(path) => crate::proxy::limits(path)?,
        None => Limits::default(),
    };
    need_privileges(&arguments.places.proc_root)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(doing("starting", ""))?;
    let served = runtime.block_on(serve(arguments, limits, &declared));
    // A call to the kernel that hangs must not keep the process.
    runtime.shutdown_timeout(HANGING);
    served.map(|()| Exit::Done)
}

async fn serve(arguments: &cli::Standalone, limits: Limits, declared: &[declare::Declared]) -> Result<(), Failure> {
    let mut signals = Signals::watch().map_err(doing("waiting for signals", ""))?;
    // Whoever has a request finishes it; the rest has nothing to finish.
    let (requests, tasks) = (Tasks::new(), Tasks::new());
    let ground = Ground::take(arguments).await?;
    let mut cluster = Cluster::open(arguments, ground.pods, &tasks).await?;
    // Before anything of an earlier instance is touched: what is refused now is refused for good.
    declare::apply(&mut cluster.rehearsal()?, declared)
        .await
        .map_err(declare::nothing_applied)?;
    let own = (ground.claim, ground.cgroup);
    let machine = Machine::start(arguments, limits, own, ground.gateway, &cluster, (&requests, &tasks)).await?;
    let applied = async {
        let mut served = cluster.serve(ground.api, machine.logs(), &tasks)?;
        let (first, rest) = declare::needs_first(declared);
        declare::apply(&mut served.local, first).await?;
        choices::settle(&mut served.local, arguments.domain(), declared).await?;
        let (listener, metrics) = ground.metrics;
        machine.control(&served, listener, &tasks).await;
        declare::apply(&mut served.local, rest).await?;
        let domain = choices::domain_in_force(&mut served.local).await?;
        shown::greet(arguments, &domain, &served, &machine, metrics)
    };
    // Whether it runs; a signal on the way there ends it as well.
    let ended = tokio::select! {
        applied = applied => applied.map(|()| true),
        () = signals.came() => Ok(false),
    };
    if let Ok(true) = ended {
        tasks.spawn("memory", settle());
        signals.came().await;
        eprintln!("ending the pods, at most {} s; again to end at once", GRACE.as_secs());
    }
    if ended.is_err() && machine.keeps_pods(arguments) {
        // As a kill leaves them.
        return ended.map(drop);
    }
    let (made, log) = (machine.made(), machine.log());
    machine.close(&requests);
    let is_in_order = tokio::select! {
        () = machine.end_pods(GRACE) => true,
        () = again(async || signals.came().await) => false,
    };
    // The gateway's threads are the machine's.
    let _ = timeout(LAST, requests.gone()).await;
    match is_in_order {
        true => machine.clear().await,
        false => drop(machine),
    }
    let stopped = async {
        requests.stop().await;
        tasks.stop().await;
    };
    if timeout(HANGING, stopped).await.is_err() {
        let left = requests.running() + tasks.running();
        eprintln!("note: {left} tasks did not end within {} s", HANGING.as_secs());
    }
    log.finish(HANGING).await;
    if !is_in_order {
        // Nobody makes pods any more: what is there is killed. A panic there would have been a panic here.
        let _ = timeout(LAST, spawn_blocking(move || drop(runner::cleanup(&made)))).await;
    }
    // What went wrong first is what matters.
    ended.and(machine::forget(arguments))
}

/// When the start is over, what only it needed is given back.
async fn settle() {
    tokio::time::sleep(SETTLED).await;
    // More is resident then, and nothing is wrong.
    let _ = spawn_blocking(kernel::memory::give_back).await;
}

/// Waits for another wish to end, of signals that came.
async fn again(mut came: impl AsyncFnMut()) {
    let first = Instant::now();
    while first.elapsed() < SAME {
        came().await;
    }
}

#[cfg(test)]
mod tests {
    use super::again;
    use std::future::pending;
    use std::time::Duration;
    use tokio::time::{Instant, sleep_until, timeout};

    #[tokio::test(start_paused = true)]
    async fn signals_near_the_first_are_one_wish_with_it_and_a_later_one_is_another() {
        // When they come after the first, and whether that ends the wait, in milliseconds.
        let cases: [(&[u64], Option<u64>); 6] = [
            (&[], None),
            (&[100], None),
            (&[0, 100, 499], None),
            (&[500], Some(500)),
            (&[100, 600], Some(600)),
            (&[2000, 2100], Some(2000)),
        ];
        for (times, due) in cases {
            let begun = Instant::now();
            let mut times = times.iter().map(|&time| begun + Duration::from_millis(time));
            let came = async || match times.next() {
                Some(time) => sleep_until(time).await,
                None => pending().await,
            };
            let ended = timeout(Duration::from_secs(60), again(came)).await;
            let ended = ended.ok().map(|()| begun.elapsed().as_millis() as u64);
            assert_eq!(ended, due);
        }
    }
}
