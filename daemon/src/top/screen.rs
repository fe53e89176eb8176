// SPDX-License-Identifier: Apache-2.0
//! Drawing lines in place on a terminal, or one after another elsewhere.
//!
//! Mechanism: the cursor goes back to the first line of the last drawing; raw mode lets single keys through.
//! Invariants: the terminal gets its mode and cursor back when this is dropped; no escape sequence goes to a stdout that is no
//! terminal.
//! Depends on: crossterm, `table`.

use std::io::{self, IsTerminal as _, Write as _};

use crossterm::{
    QueueableCommand as _,
    cursor::{Hide, MoveToColumn, MoveUp, Show},
    style::{Attribute, Color, ResetColor, SetAttribute, SetForegroundColor},
    terminal::{self, Clear, ClearType},
};

use crate::{
    cli::Looks,
    top::table::{Kind, Line},
};

/// Where lines go.
#[derive(Debug)]
pub(crate) struct Screen {
    looks: Looks,
    drawn: u16,
    is_raw: bool,
}

const WIDTH_ELSEWHERE: usize = 200;

impl Screen {
    pub(crate) fn new(looks: Looks) -> io::Result<Self> {
        let is_raw = looks.terminal && io::stdin().is_terminal();
        if is_raw {
            terminal::enable_raw_mode()?;
        }
        let screen = Self {
            looks,
            drawn: 0,
            is_raw,
        };
        if looks.terminal {
            io::stdout().queue(Hide)?.flush()?;
        }
        Ok(screen)
    }

    /// Whether single keys can be read.
    pub(crate) fn has_keyboard(&self) -> bool {
        self.is_raw
    }

    /// Whether drawings replace each other.
    pub(crate) fn is_redrawn(&self) -> bool {
        self.looks.terminal
    }

    pub(crate) fn width(&self) -> usize {
        if self.looks.terminal {
            size().0.into()
        } else {
            WIDTH_ELSEWHERE
        }
    }

    /// In place of the last drawing, or below it.
    pub(crate) fn draw(&mut self, lines: &[Line]) -> io::Result<()> {
        let mut out = io::stdout().lock();
        if !self.looks.terminal {
            for line in lines {
                writeln!(out, "{}", line.text)?;
            }
            return out.flush();
        }
        let (_, height) = size();
        let shown = lines.len().min(usize::from(height) - 1);
        out.queue(MoveToColumn(0))?;
        if self.drawn > 0 {
            // The terminal may have become lower: what scrolled away cannot be reached.
            out.queue(MoveUp(self.drawn.min(height - 1)))?;
        }
        out.queue(Clear(ClearType::FromCursorDown))?;
        for line in &lines[..shown] {
            self.colour(&mut out, line.kind)?;
            write!(out, "{}", line.text)?;
            if self.looks.colour {
                out.queue(SetAttribute(Attribute::Reset))?.queue(ResetColor)?;
            }
            write!(out, "\r\n")?;
        }
        self.drawn = shown as u16;
        out.flush()
    }

    fn colour(&self, out: &mut io::StdoutLock<'_>, kind: Kind) -> io::Result<()> {
        if !self.looks.colour {
            return Ok(());
        }
        match kind {
            Kind::Heading => out.queue(SetAttribute(Attribute::Bold))?,
            Kind::Warning => out.queue(SetForegroundColor(Color::Yellow))?,
            Kind::Note => out.queue(SetAttribute(Attribute::Dim))?,
            Kind::Row => out,
        };
        Ok(())
    }
}

/// Columns and lines; a terminal that does not know its size says 0.
fn size() -> (u16, u16) {
    match terminal::size() {
        Ok((width, height)) if width > 0 && height > 0 => (width.max(20), height.max(2)),
        _ => (80, 24),
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if self.looks.terminal {
            let _ = io::stdout().queue(Show).and_then(|out| out.flush());
        }
        if self.is_raw {
            let _ = terminal::disable_raw_mode();
        }
    }
}
