// SPDX-License-Identifier: Apache-2.0
//! HTTP/1 as bytes: heads and bodies, read and written.
//!
//! Problem: Knative's answers are known byte by byte, informational responses and refusals included, and that is more than
//! general libraries let through (docs/request-path.md, "Why our own HTTP/1.1").
//! Mechanism: `parse` and `write` are heads (`usual`: both at once; `plain`: as it came), `body` is framing; nothing here waits for anything.
//! Depends on: message, limits.

pub(crate) mod body;
mod line;
pub(crate) mod parse;
pub(crate) mod plain;
pub(crate) mod usual;
pub(crate) mod write;
