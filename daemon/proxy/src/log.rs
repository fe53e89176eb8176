// SPDX-License-Identifier: Apache-2.0
//! The request log: one line a request, in JSON or by a template (data-plane spec 4.10).
//!
//! Mechanism: `line` puts aside what is logged of a request, only if there is a log, and is written when it is dropped;
//! `facts` is what it knows, `json` and `template` say how; `queue` takes finished lines to where they are read, off the request's way.
//! Invariants: a request leaves one line however it ends, in one piece, whatever bytes its client sent; a slow reader of
//! the log costs lines, which are counted, never time or memory.
//! Depends on: message, progress, revision, life, logic::settings::template.

mod facts;
mod json;
mod line;
mod logging;
mod queue;
mod template;

pub(crate) use facts::Outcome;
pub use facts::{Format, RequestLog, Sink};
pub(crate) use line::Line;
pub use logging::Logging;
pub use queue::{Counts, Lines};
