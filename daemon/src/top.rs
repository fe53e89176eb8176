// SPDX-License-Identifier: Apache-2.0
//! `sluice top`: the requests of any HTTP server, live.
//!
//! Mechanism: find the server, attach, then every interval: read the counters, keep them in a ring, work out figures, show
//! them. Signals and keys end the loop, and the session takes away what it attached.
//! Invariants: nothing is attached before everything named was found; whatever ends the loop, the session is ended.
//! Depends on: all below, kernel.

mod figures;
mod history;
mod json;
mod reading;
mod screen;
mod servers;
mod session;
mod table;

use std::{
    io::{self, Write as _},
    time::{Duration, Instant, SystemTime},
};

use kernel::{Kernel, Settings, sockets};

use crate::{
    cli::{self, Format, Looks},
    failure::{self, Exit, Failure, doing},
    wait::{Wait, Wake},
};
use figures::{Figures, Snapshot, WINDOWS};
use history::History;
use reading::Reading;
use screen::Screen;
use session::{Counted, Left, Session};

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
    let session = Session::begin(room_for_one(&arguments), servers)?;
    if session.is_adopted {
        eprintln!(
            "note: counting goes on from what was pinned at {}",
            arguments.places.pin_dir.display()
        );
    }
    let shown = show(&arguments, looks, &session, &mut wait);
    let left = session.end(arguments.keep);
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
            eprintln!("note: {count} other ports are still counted, pinned at {pin_dir}; `sluice cleanup` ends that");
        }
    }
}

fn show(arguments: &cli::Top, looks: Looks, session: &Session, wait: &mut Wait) -> Result<Exit, Failure> {
    let mut output = Output::new(arguments.output, looks)?;
    wait.use_keyboard(output.has_keyboard());
    let kernel = session.kernel()?;
    let rows = session.counted.iter().map(|counted| Row::begin(kernel, counted));
    let mut rows = rows.collect::<Result<Vec<_>, _>>()?;
    let wanted = if arguments.once { Some(1) } else { arguments.count };
    output.first(&rows, arguments.interval)?;
    let mut deadline = Instant::now();
    let mut shown = 0;
    while wanted.is_none_or(|count| shown < count) {
        deadline = next(deadline, arguments.interval);
        if wait.until(deadline).map_err(doing("waiting", ""))? == Wake::End {
            break;
        }
        for row in &mut rows {
            row.advance(kernel)?;
        }
        if !output.show(&rows.iter().map(Row::reading).collect::<Vec<_>>())? {
            break;
        }
        shown += 1;
        if rows.iter().all(|row| !row.is_there) {
            let message = "what was counted is gone: its cgroup has ended";
            return Err(Failure::new(
                Exit::Gone,
                message,
                "start the server, then `sluice top` again",
            ));
        }
    }
    Ok(Exit::Done)
}

/// Ticks stay in step; those that were missed are left out.
fn next(last: Instant, interval: Duration) -> Instant {
    (last + interval).max(Instant::now())
}

/// One server while it is shown.
struct Row<'a> {
    counted: &'a Counted,
    tier: &'static str,
    history: History<Snapshot>,
    now: Snapshot,
    unaccounted: Option<u64>,
    is_listening: Option<bool>,
    is_there: bool,
}

impl<'a> Row<'a> {
    fn begin(kernel: &Kernel, counted: &'a Counted) -> Result<Self, Failure> {
        let (time, now) = read(kernel, counted)?;
        let mut row = Self {
            counted,
            tier: kernel.tier().word(),
            history: History::new(WINDOWS[2], time, now.clone()),
            now,
            unaccounted: None,
            is_listening: None,
            is_there: true,
        };
        row.look_around(kernel);
        Ok(row)
    }

    fn advance(&mut self, kernel: &Kernel) -> Result<(), Failure> {
        let (time, now) = read(kernel, self.counted)?;
        self.history.push(time, now.clone());
        self.now = now;
        self.look_around(kernel);
        Ok(())
    }

    /// What the counters do not tell. What cannot be asked at the moment is not known.
    fn look_around(&mut self, kernel: &Kernel) {
        let server = &self.counted.server;
        self.unaccounted = kernel
            .accounted(&server.netns, server.port)
            .ok()
            .map(|found| found.unaccounted);
        let listening = sockets::listening(&server.netns, Some(server.port)).ok();
        self.is_listening = listening.map(|sockets| sockets.iter().any(|socket| socket.local.port() == server.port));
        self.is_there = self.counted.is_there();
    }

    fn reading(&self) -> Reading {
        let server = &self.counted.server;
        Reading {
            name: server.name.clone(),
            cgroup: server.cgroup.display().to_string(),
            netns: server.cookie,
            port: server.port,
            tier: self.tier,
            figures: Figures::of(&self.history, &self.now),
            unaccounted: self.unaccounted,
            is_listening: self.is_listening,
            is_there: self.is_there,
        }
    }
}

fn read(kernel: &Kernel, counted: &Counted) -> Result<(u64, Snapshot), Failure> {
    let counts = kernel.counts(counted.pod)?;
    let now = kernel::monotonic();
    Ok((now, Snapshot::of(&counts, now)))
}

/// Where figures go.
enum Output {
    Table(Screen),
    Json,
}

impl Output {
    fn new(format: Format, looks: Looks) -> Result<Self, Failure> {
        match format {
            Format::Json => Ok(Self::Json),
            Format::Table => Screen::new(looks)
                .map(Self::Table)
                .map_err(doing("preparing the terminal", "")),
        }
    }

    fn has_keyboard(&self) -> bool {
        matches!(self, Self::Table(screen) if screen.has_keyboard())
    }

    /// Something to see until the first interval is over.
    fn first(&mut self, rows: &[Row<'_>], interval: Duration) -> Result<(), Failure> {
        match self {
            Self::Table(screen) if screen.is_redrawn() => {
                self.show(&rows.iter().map(Row::reading).collect::<Vec<_>>()).map(drop)
            }
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
            Self::Json => write_lines(readings),
        };
        match written {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
            other => other.map(|()| true).map_err(doing("writing the output", "")),
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
