// SPDX-License-Identifier: Apache-2.0
//! A client of HTTP/1 with one request open.
//!
//! Depends on: reader, wire, limits.

use crate::limits::Limits;
use crate::reader::Reader;
use crate::wire::body::Body;
use crate::wire::write;

/// The open request's side of a connection.
pub(crate) struct One<'a, R, W> {
    pub(super) reader: &'a mut Reader<R>,
    pub(super) writer: &'a mut W,
    /// Of the request.
    pub(super) body: Body,
    pub(super) facts: write::Client,
    /// The client still waits for 100 (Continue).
    pub(super) waits: bool,
    /// No further request on this connection.
    pub(super) is_over: bool,
    pub(super) limits: &'a Limits,
}

impl<R, W> One<'_, R, W> {
    /// Takes what is there of the request's body; whether that is all of it.
    pub(super) fn read_rest(&mut self) -> bool {
        while !self.body.is_done() {
            match self.body.take(&mut self.reader.buffer, self.limits) {
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => return false,
            }
        }
        true
    }
}
