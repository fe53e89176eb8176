// SPDX-License-Identifier: Apache-2.0
//! `sluice top`: the requests of any HTTP server, live.
//!
//! Mechanism: find the server, attach (or look at who has), then every interval: read the counters, keep them in a ring, work
//! out figures, show them. Signals and keys end the loop, and the session takes away what it attached.
//! Invariants: nothing is attached before everything named was found; whatever ends the loop, the session is ended.
//! Depends on: all below, kernel.

mod attachment;
mod counted;
mod figures;
mod history;
mod json;
mod live;
mod reader;
mod reading;
mod row;
mod screen;
mod servers;
mod session;
mod source;
mod table;

use std::{
    io::{self, Write as _},
    time::{Duration, Instant, SystemTime},
};

use kernel::Settings;

use crate::{
    cli::{self, Format, Looks},
    failure::{self, Exit, Failure, doing},
    wait::{Wait, Wake},
    words::plural,
};
use live::Live;
use reading::Reading;
use screen::Screen;
use session::Left;
use source::Source;

/// Runs the command.
pub(crate) fn run(arguments: cli::Top, looks: Looks) -> Result<Exit, Failure> {
    failure::need_privileges(&arguments.places.proc_root)?;
    let mut wait = Wait::new().map_err(doing("preparing for signals", ""))?;
    let servers = servers::find(&arguments)?;
    for server in servers.iter().filter(|server| server.is_root) {
        eprintln!(
            "note: {} is served from the root of all cgroups: every packet of this machine passes the programs",
            server.name
        );
    }
    let source = Source::begin(room_for_one(&arguments), servers)?;
    let pin_dir = arguments.places.pin_dir.display();
    match &source {
        Source::Own(session) if session.is_adopted => {
            eprintln!("note: counting goes on from what was pinned at {pin_dir}");
        }
        Source::Own(_) => {}
        Source::Theirs(_) => eprintln!("note: read only: another sluice holds {pin_dir}; the figures end with it"),
    }
    let shown = show(&arguments, looks, &source, &mut wait);
    let left = source.end(arguments.keep);
    let exit = shown?;
    tell(&left?, &arguments);
    Ok(exit)
}

/// `top` redirects nobody: room for that would be memory for nothing.
fn room_for_one(arguments: &cli::Top) -> Settings {
    Settings {
        pods: 256,
        revisions: 16,
        targets: 16,
        backends: 16,
        peers: 64,
        ..arguments.places.settings()
    }
}

fn tell(left: &Left, arguments: &cli::Top) {
    let pin_dir = arguments.places.pin_dir.display();
    match left {
        Left::Nothing => {}
        Left::Kept => eprintln!("note: still counting, pinned at {pin_dir}; `sluice cleanup` ends it"),
        Left::Others(count) => {
            let (ports, are) = (
                plural(*count as u64, "other port"),
                if *count == 1 { "is" } else { "are" },
            );
            eprintln!("note: {ports} {are} still counted, pinned at {pin_dir}; `sluice cleanup` ends that");
        }
    }
}

fn show(arguments: &cli::Top, looks: Looks, source: &Source, wait: &mut Wait) -> Result<Exit, Failure> {
    let mut live = Live::begin(source)?;
    let mut output = Output::new(arguments.output, looks)?;
    wait.use_keyboard(output.has_keyboard());
    let wanted = if arguments.once { Some(1) } else { arguments.count };
    output.first(&live.readings(), arguments.interval)?;
    let mut deadline = Instant::now();
    let mut shown = 0;
    while wanted.is_none_or(|count| shown < count) {
        deadline = next(deadline, arguments.interval);
        if wait.until(deadline).map_err(doing("waiting", ""))? == Wake::End {
            break;
        }
        live.advance()?;
        if !output.show(&live.readings())? {
            break;
        }
        shown += 1;
        live.check()?;
    }
    Ok(Exit::Done)
}

/// Ticks stay in step; those that were missed are left out.
fn next(last: Instant, interval: Duration) -> Instant {
    (last + interval).max(Instant::now())
}

/// Where figures go.
enum Output {
    Table(Screen),
    /// And who was told on stderr that programs are gone.
    Json(Vec<String>),
}

impl Output {
    fn new(format: Format, looks: Looks) -> Result<Self, Failure> {
        match format {
            Format::Json => Ok(Self::Json(Vec::new())),
            Format::Table => Screen::new(looks)
                .map(Self::Table)
                .map_err(doing("preparing the terminal", "")),
        }
    }

    fn has_keyboard(&self) -> bool {
        matches!(self, Self::Table(screen) if screen.has_keyboard())
    }

    /// Something to see until the first interval is over.
    fn first(&mut self, readings: &[Reading], interval: Duration) -> Result<(), Failure> {
        match self {
            Self::Table(screen) if screen.is_redrawn() => self.show(readings).map(drop),
            _ if interval > Duration::from_secs(2) => {
                eprintln!("note: counting; the first figures come in {} s", interval.as_secs());
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Whether somebody still reads: `| head` has enough at some point, which is no error.
    fn show(&mut self, readings: &[Reading]) -> Result<bool, Failure> {
        let written = match self {
            Self::Table(screen) => {
                let lines = table::lines(readings, screen.width());
                screen.draw(&lines)
            }
            Self::Json(told) => {
                tell_lost(readings, told);
                write_lines(readings)
            }
        };
        match written {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
            other => other.map(|()| true).map_err(doing("writing the output", "")),
        }
    }
}

/// Once each time that it becomes so.
fn tell_lost(readings: &[Reading], told: &mut Vec<String>) {
    for reading in readings {
        let Some(text) = table::lost(reading) else {
            told.retain(|name| *name != reading.name);
            continue;
        };
        if !told.contains(&reading.name) {
            eprintln!("warning: {}: {text}", reading.name);
            told.push(reading.name.clone());
        }
    }
}

fn write_lines(readings: &[Reading]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let wall = SystemTime::now();
    for reading in readings {
        writeln!(out, "{}", json::line(reading, wall))?;
    }
    out.flush()
}
