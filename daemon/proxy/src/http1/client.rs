// SPDX-License-Identifier: Apache-2.0
//! What the path asks of a client of HTTP/1.
//!
//! Invariants: after a response that is not whole, or a request body that was not read, the connection is not used again.
//! Depends on: exchange, pod, relay, side, to_two, wire.

use super::side::One;
use super::{relay, tell, to_two};
use crate::ending::Ending;
use crate::exchange::{Broken, Client, Lane};
use crate::message::{Answer, BodySize, Request, Version};
use crate::pod::Look;
use crate::progress::Progress;
use crate::protocol::PodProtocol;
use crate::reader::Watched;
use crate::wire::body::{self, Part};
use crate::wire::parse::Framing;
use crate::wire::write;
use bytes::BytesMut;

impl<R, W> Client for One<'_, R, W>
where
    R: Watched + Send,
    W: Ending + Send,
{
    async fn answer(&mut self, answer: &Answer, progress: &Progress) -> Result<(), Broken> {
        if self.waits || !self.read_rest() {
            self.facts.close = true;
        }
        let mut head = answer.head();
        if self.facts.is_head && answer.body.is_empty() {
            // Go says the length of a text, not that there is none.
            head.body = BodySize::None;
        }
        let is_open = answer.is_open && !answer.body.is_empty() && self.facts.version == Version::One1;
        let framing = match (self.facts.is_head, is_open) {
            (true, _) => Framing::None,
            (false, true) => Framing::Chunked,
            (false, false) => head.body.into(),
        };
        let mut out = BytesMut::with_capacity(256 + answer.body.len());
        write::response(&head, framing, &self.facts, &mut out);
        if !self.facts.is_head {
            body::put(&Part::Data(answer.body.clone()), framing, &mut out);
            body::put(&Part::End, framing, &mut out);
        }
        progress.answering(answer.status.as_u16());
        // Until it is written, the response is not whole.
        let was_over = std::mem::replace(&mut self.is_over, true);
        tell(self.writer, &out).await?;
        self.is_over = was_over || self.facts.close;
        progress.wrote(answer.body.len() as u64);
        Ok(())
    }

    async fn forward(&mut self, request: &Request, lane: &Lane<'_>) -> Result<(), Broken> {
        if lane.protocol == PodProtocol::H2c && !request.is_connect() && request.upgrade().is_none() {
            return to_two::run(self, request, lane).await;
        }
        let look = Look::before(request.may_repeat());
        let mut idle = lane.pod.idle(lane.limits, lane.progress.begun, look);
        loop {
            let mut stream = match idle.take() {
                Some(stream) => stream,
                None => self.unless_gone(lane.pod.dial(lane.retries)).await?,
            };
            match relay::run(self, request, &mut stream, lane).await {
                Ok(true) => {
                    lane.pod.keep(stream, lane.limits);
                    return Ok(());
                }
                Ok(false) => return Ok(()),
                Err(Broken::NoAnswer) if lane.may_repeat(request, &stream) => {}
                Err(broken) => return Err(broken),
            }
        }
    }

    async fn gone(&mut self) {
        self.reader.end(self.limits.read_ahead).await;
    }

    fn cut(&mut self) {
        self.is_over = true;
    }
}
