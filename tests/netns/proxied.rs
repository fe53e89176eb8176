// SPDX-License-Identifier: Apache-2.0
//! `sluice proxy` before a network that loses packets, and pods that vanish from it.
//!
//! The daemon is where the clients are; the pod's namespace has two applications behind the router that misbehaves.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tests::fault::{Loss, dropped, lose};
use tests::rig::{Field, Rig};
use tests::suite::{Case, case_on_rig};

use crate::slots::{App, Node, Tally, ask};

const GATEWAY: &str = "10.77.1.2:8000";
/// Both applications are in the pod's namespace.
const APPS: [&str; 2] = ["10.77.2.2:9000", "10.77.2.2:9001"];
const CLIENTS: usize = 6;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case_on_rig("proxied::five_percent_lost_fails_no_request", lossy),
        case_on_rig("proxied::a_pod_that_vanishes_costs_only_what_it_had_in_hand", vanished),
        case_on_rig(
            "proxied::a_pod_whose_network_resets_costs_only_what_it_had_in_hand",
            resetting,
        ),
    ]
}

struct Site<'f> {
    field: &'f Field,
    gateway: SocketAddr,
    apps: [App; 2],
    _node: Node<'f>,
}

impl<'f> Site<'f> {
    fn new(rig: &'f Rig, field: &'f Field, timeout_seconds: u32) -> Result<Self> {
        let gateway: SocketAddr = GATEWAY.parse()?;
        let start = |address: &str| App::start(&field.pod, address.parse()?);
        let apps = [start(APPS[0])?, start(APPS[1])?];
        let mut node = Node::new(rig, "a", &field.client, ["10.77.1.2"; 3])?;
        node.write(&format!(
            "listen: ['{GATEWAY}']\nrevisions: {{app: {{pods: ['{}', '{}'], timeout_seconds: {timeout_seconds}}}}}\n\
             routes: [{{hosts: [app.test], to: {{app: 100}}}}]\n",
            APPS[0], APPS[1]
        ))?;
        node.run(gateway)?;
        Ok(Self {
            field,
            gateway,
            apps,
            _node: node,
        })
    }

    /// Clients ask until this has been done.
    fn while_asked(&self, work: impl FnOnce() -> Result<()>) -> Result<Vec<Tally>> {
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let asking = || ask(&self.field.client, self.gateway, "app.test", &stop);
            let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(asking)).collect();
            let done = work();
            stop.store(true, SeqCst);
            let tallies = clients.into_iter().map(|client| match client.join() {
                Ok(tally) => tally,
                Err(_) => Err(anyhow::anyhow!("a client panicked")),
            });
            let tallies: Result<Vec<_>> = tallies.collect();
            done?;
            tallies
        })
    }

    /// Until both applications, or the second one alone, have answered so many more.
    fn served(&self, both: bool, more: u64) -> Result<()> {
        let counts = || [0, 1].map(|app: usize| self.apps[app].seen.all.load(SeqCst));
        let (before, begun) = (counts(), Instant::now());
        loop {
            let now = counts();
            if now[1] >= before[1] + more && (!both || now[0] >= before[0] + more) {
                return Ok(());
            }
            ensure!(
                begun.elapsed() < Duration::from_secs(60),
                "waited for {more} more answers: {before:?} became {now:?}"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn router(&self, verdict: &str) -> Result<()> {
        self.field.router.nft(&format!(
            "table inet fault {{\n chain forward {{\n  type filter hook forward priority 0; policy accept;\n\
             \x20 tcp dport 9000 {verdict}\n  tcp sport 9000 {verdict}\n }}\n}}\n"
        ))
    }
}

fn lossy(rig: &Rig) -> Result<()> {
    let field = rig.field("lossy")?;
    let site = Site::new(rig, &field, 60)?;
    lose(
        &field,
        Loss {
            requests: 500,
            answers: 500,
        },
    )?;
    let tallies = site.while_asked(|| site.served(true, 100))?;
    ensure!(dropped(&field.router)? > 0, "nothing was lost");
    ensure!(
        tallies.iter().all(|tally| tally.failures.is_empty()),
        "{:?}",
        first_failure(&tallies)
    );
    Ok(())
}

/// Nothing comes and nothing goes: a connection is half open, and a dial gets no answer.
fn vanished(rig: &Rig) -> Result<()> {
    let field = rig.field("vanished")?;
    let site = Site::new(rig, &field, 3)?;
    let tallies = site.while_asked(|| {
        site.served(true, 50)?;
        site.router("drop")?;
        // Those that had something there end by their timeout, and then all go elsewhere.
        std::thread::sleep(Duration::from_secs(4));
        site.served(false, 50)
    })?;
    few_failures(&tallies, &["504"])?;
    afterwards(&site)
}

/// Packets of a connection are answered by a reset, and so is a dial.
fn resetting(rig: &Rig) -> Result<()> {
    let field = rig.field("resetting")?;
    let site = Site::new(rig, &field, 3)?;
    let tallies = site.while_asked(|| {
        site.served(true, 50)?;
        site.router("reject with tcp reset")?;
        site.served(false, 100)
    })?;
    few_failures(&tallies, &["502", "504"])?;
    afterwards(&site)
}

/// Each client had at most one request in hand at the pod; it ended with one of these, not with silence.
fn few_failures(tallies: &[Tally], fair: &[&str]) -> Result<()> {
    for tally in tallies {
        ensure!(tally.answered > 0, "a client was never answered");
        for failure in &tally.failures {
            ensure!(fair.contains(&&*failure.why), "{failure:?}");
        }
    }
    let count: usize = tallies.iter().map(|tally| tally.failures.len()).sum();
    // Idle connections that were kept to it may be tried once each, too.
    ensure!(
        count <= 2 * CLIENTS,
        "{count} requests failed: {:?}",
        first_failure(tallies)
    );
    Ok(())
}

/// Without the one that is gone nothing fails any more.
fn afterwards(site: &Site<'_>) -> Result<()> {
    let tallies = site.while_asked(|| site.served(false, 100))?;
    let failed = first_failure(&tallies);
    ensure!(failed.is_none(), "after the pod had gone: {failed:?}");
    tallies.first().context("no client").map(drop)
}

fn first_failure(tallies: &[Tally]) -> Option<String> {
    let mut failures = tallies.iter().flat_map(|tally| &tally.failures);
    failures
        .next()
        .map(|failure| format!("{} after {:?}", failure.why, failure.ended - failure.begun))
}
