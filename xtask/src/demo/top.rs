// SPDX-License-Identifier: Apache-2.0
//! `cargo xtask demo top`: a server under load, counted live, through a burst and a kill -9.
//!
//! Mechanism: `sluice sample` runs in a cgroup of its own (`server`), clients of this process keep it busy (`load`), and
//! `sluice top -o json` is shown a line a second (`watch`). At the end the kernel's totals must be what the clients got.
//! Invariants: whatever happens, an interrupt too, the processes end, the cgroup goes, and what was attached is given back;
//! a demo whose totals differ fails.
//! Depends on: interrupt; root.

mod cgroup;
mod load;
mod pins;
mod server;
mod watch;

use super::interrupt::Interrupt;
use anyhow::{Result, ensure};
use cgroup::Cgroup;
use load::Load;
use pins::Pins;
use server::Server;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use watch::{Reading, Top};

const FEW: usize = 16;
const MANY: usize = 64;
/// An answer takes this long, so a client has this one request in flight nearly all the time.
const MILLISECONDS: u32 = 20;

/// Shows it.
pub(super) fn show_it(sluice: &Path, interrupt: &Interrupt) -> Result<()> {
    let cgroup = Cgroup::create()?;
    let pins = Pins::new(sluice);
    let shown = show(&Stage {
        sluice,
        server: Server::start(sluice, &cgroup)?,
        cgroup: &cgroup,
        pins: &pins,
        interrupt,
    });
    let left = pins.is_there();
    shown?;
    ensure!(!left, "pins were left behind");
    println!("\nNothing is left: server and clients ended, links and maps gone with the pin folder, cgroup removed.");
    Ok(())
}

struct Stage<'a> {
    sluice: &'a Path,
    server: Server,
    cgroup: &'a Cgroup,
    pins: &'a Pins,
    interrupt: &'a Interrupt,
}

fn show(stage: &Stage<'_>) -> Result<()> {
    let port = stage.server.port();
    println!("\nEvery client asks for GET /sleep/{MILLISECONDS} again and again, and counts its answers.");
    println!(
        "$ sluice top --cgroup {} --port {port} -o json   # as a table:",
        stage.cgroup.name()
    );
    println!("{}", watch::HEADING);
    let mut top = stage.watch()?;
    // Connections are counted from the attachment on: the first line says that it stands.
    top.next(stage.interrupt)?;
    let mut load = Load::new(port, MILLISECONDS);
    load.grow(FEW);
    stage.rows(&mut top, 3, &format!("{FEW} clients"))?;
    load.grow(MANY);
    stage.rows(&mut top, 3, &format!("a burst: {MANY} clients"))?;
    let before = load.answers();
    top.kill_9()?;
    stage.interrupt.sleep(Duration::from_secs(2))?;
    println!(
        "          (kill -9 of sluice top; {} answers in the 2 s when nobody looks)",
        load.answers() - before
    );
    let mut top = stage.watch()?;
    stage.rows(&mut top, 3, "adopted, nothing lost")?;
    let answers = load.stop()?;
    let last = stage.rest(&mut top)?;
    println!("{last}   clients stopped");
    top.end()?;
    verdict(answers, &last)
}

impl Stage<'_> {
    fn watch(&self) -> Result<Top> {
        let mut sluice = Command::new(self.sluice);
        sluice.arg("top").arg("--cgroup").arg(self.cgroup.path());
        sluice.args(["--port", &self.server.port().to_string(), "-o", "json"]);
        Top::start(sluice.arg("--pin-dir").arg(self.pins.path()))
    }

    /// The first line without a request in flight, or the last one before patience ends.
    fn rest(&self, top: &mut Top) -> Result<Reading> {
        let mut reading = top.next(self.interrupt)?;
        for _ in 0..5 {
            if reading.in_flight == 0 {
                break;
            }
            reading = top.next(self.interrupt)?;
        }
        Ok(reading)
    }

    /// Shows some seconds; the first row bears the remark.
    fn rows(&self, top: &mut Top, seconds: usize, remark: &str) -> Result<()> {
        for second in 0..seconds {
            let reading = top.next(self.interrupt)?;
            let remark = if second == 0 { remark } else { "" };
            println!("{}", format!("{reading}   {remark}").trim_end());
        }
        Ok(())
    }
}

fn verdict(answers: u64, last: &Reading) -> Result<()> {
    println!(
        "\nThe clients got {answers} answers; the kernel counted {} started, {} ended, {} in flight.",
        last.started, last.ended, last.in_flight
    );
    ensure!(
        last.started == answers && last.ended == answers && last.in_flight == 0,
        "the totals differ"
    );
    Ok(())
}
