// SPDX-License-Identifier: Apache-2.0
//! What a client's frames may take before they are a request, and beside requests.
//!
//! Problem: the `h2` crate keeps a head that is not whole for as long as its connection lives, and answers settings and pings
//! however many come.
//! Mechanism: the frames that come are walked. A head has `head_time` from its first frame on, and a share of `all_heads`. Frames
//! that are no part of a request are counted; those that an answer may have asked for, as window updates and the pings by which
//! a client measures its way, are set off against what was sent. The clock is looked at when a head stays open, and when so
//! many were counted as a second allows.
//! Invariants: heads that come whole in one read cost no clock and no timer; a head is given up no sooner
//! than its time.
//! Depends on: alarm, limits, room, walk.

use super::walk::{Head, Step, Walk};
use crate::alarm::Alarm;
use crate::limits::Limits;
use crate::room::{Heads, Limit, Room};
use std::io;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::Instant;

/// Bytes before the first frame (RFC 9113 3.4).
const PREFACE: usize = 24;

/// Kinds of frames, and what their flags say (RFC 9113 6).
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 4;

/// What the h2 crate holds for a byte of a head that it has read: a byte may be a whole field of the protocol's table.
const OF_BYTE: usize = 128;
/// What it holds at most for a byte of the list it takes, whose size has 32 bytes of each field beside its text.
const OF_LIST: usize = 4;

/// What counted frames are seen in.
const SPAN: Duration = Duration::from_secs(1);

/// What is known of a connection's way in.
pub(super) struct Incoming {
    walk: Walk,
    room: Room,
    /// The head that is not whole.
    open: Option<Open>,
    /// Whether the frame that comes is a part of it.
    is_of_head: bool,
    held: Heads,
    /// So much may be held for a head.
    most_held: usize,
    head_time: Duration,
    alarm: Option<Alarm>,
    counted: u32,
    most_counted: u32,
    /// Since when.
    since: Instant,
}

/// A head that is not whole.
#[derive(Default)]
struct Open {
    /// Bytes of its frames that are whole: they were read.
    read: usize,
    /// Bytes of the next.
    part: usize,
    is_last: bool,
    /// When it is given up; as long as it came in one read, nobody has asked.
    until: Option<Instant>,
}

impl Incoming {
    /// Of a connection whose heads may be as long as `list`.
    pub(super) fn new(limits: &Limits, list: usize, room: &Room) -> Self {
        Self {
            walk: Walk::behind(PREFACE),
            room: room.clone(),
            open: None,
            is_of_head: false,
            held: room.heads(limits.all_heads),
            most_held: list.saturating_mul(OF_LIST),
            head_time: limits.head_time,
            alarm: None,
            counted: 0,
            most_counted: limits.control_frames,
            since: Instant::now(),
        }
    }

    /// Looks at what came; `sent` is what the client may ask or say for the sake of answers. An error: it went too far.
    pub(super) fn came_in(&mut self, bytes: &[u8], sent: &mut u32) -> io::Result<()> {
        let (open, is_of_head, counted) = (&mut self.open, &mut self.is_of_head, &mut self.counted);
        self.walk.over(bytes, |step| match step {
            Step::Head(head) => {
                *counted = counted.saturating_add(u32::from(is_counted(head)));
                *is_of_head = match head.kind {
                    HEADERS => {
                        *open = Some(Open::default());
                        true
                    }
                    CONTINUATION => true,
                    _ => false,
                };
                if let (true, Some(open)) = (*is_of_head, open.as_mut()) {
                    open.is_last = head.flags & END_HEADERS != 0;
                }
            }
            Step::Payload(payload) if *is_of_head => {
                if let Some(open) = open {
                    open.part += payload.len();
                }
            }
            Step::End if *is_of_head => {
                if let Some(head) = open {
                    head.read += std::mem::take(&mut head.part);
                }
                open.take_if(|head| head.is_last);
            }
            Step::Payload(_) | Step::End => {}
        });
        if self.counted > self.most_counted {
            self.settle(sent)?;
        }
        let held = match &mut self.open {
            None => {
                self.alarm = None;
                0
            }
            Some(open) => {
                open.until.get_or_insert_with(|| Instant::now() + self.head_time);
                open.read.saturating_mul(OF_BYTE).min(self.most_held) + open.part
            }
        };
        match self.held.hold(held) {
            true => Ok(()),
            false => Err(self.refused(Limit::AllHeads)),
        }
    }

    /// Nothing comes: an error, once the time of an open head is over.
    pub(super) fn poll_open(&mut self, context: &mut Context<'_>) -> Poll<io::Error> {
        let Some(until) = self.open.as_ref().and_then(|open| open.until) else {
            return Poll::Pending;
        };
        let alarm = self.alarm.get_or_insert_with(Alarm::new);
        ready!(alarm.poll_ring(until, context));
        // It is counted once.
        self.open = None;
        Poll::Ready(self.refused(Limit::HeadTime))
    }

    /// More were counted than a second allows: but it may have been longer, or answers may have asked for them.
    fn settle(&mut self, sent: &mut u32) -> io::Result<()> {
        let now = Instant::now();
        if now.saturating_duration_since(self.since) >= SPAN {
            self.since = now;
            self.counted = 0;
            // What was sent just now may still be answered.
            *sent = (*sent).min(self.most_counted);
            return Ok(());
        }
        self.counted = self.counted.saturating_sub(std::mem::take(sent));
        match self.counted > self.most_counted {
            true => Err(self.refused(Limit::ControlFrames)),
            false => Ok(()),
        }
    }

    fn refused(&self, limit: Limit) -> io::Error {
        self.room.refused(limit);
        io::Error::other(limit.name())
    }
}

/// Whether it is none of those a request is made of.
fn is_counted(head: Head) -> bool {
    match head.kind {
        // Heads have their own bounds; who sends empty data or resets too often is told by h2.
        DATA | HEADERS | CONTINUATION | RST_STREAM => false,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http2::walk::tests::frame;
    use proptest::prelude::*;
    use std::future::poll_fn;
    use tokio::time::{advance, timeout};

    const PING: u8 = 6;
    const END_STREAM: u8 = 1;
    const LIST: usize = 100_000;

    fn limits() -> Limits {
        Limits {
            control_frames: 100,
            all_heads: 600_000,
            ..Limits::default()
        }
    }

    fn incoming(room: &Room) -> Incoming {
        let mut incoming = Incoming::new(&limits(), LIST, room);
        incoming.came_in(&[7; PREFACE], &mut 0).unwrap();
        incoming
    }

    fn counted(room: &Room) -> Vec<(Limit, u64)> {
        room.refusals().filter(|(_, count)| *count > 0).collect()
    }

    async fn given_up(incoming: &mut Incoming, within: Duration) -> bool {
        let open = poll_fn(|context| incoming.poll_open(context));
        timeout(within, open).await.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_has_its_time_from_its_first_frame_on() {
        let head_time = limits().head_time;
        let second = Duration::from_secs(1);
        // Without an end; with it, but not all of the last frame.
        let whole = frame(HEADERS, END_HEADERS, 1, &[0; 20]);
        for begun in [frame(HEADERS, END_STREAM, 1, &[0; 20]), whole[..25].to_vec()] {
            let room = Room::default();
            let mut incoming = incoming(&room);
            incoming.came_in(&whole, &mut 0).unwrap();
            assert!(!given_up(&mut incoming, head_time * 2).await, "of a head that is whole");
            incoming.came_in(&begun, &mut 0).unwrap();
            assert!(!given_up(&mut incoming, head_time - second).await);
            // More of it does not give it more time.
            incoming.came_in(&[0; 1], &mut 0).unwrap();
            assert!(given_up(&mut incoming, second * 2).await);
            assert!(!given_up(&mut incoming, head_time * 2).await, "it is counted once");
            assert_eq!(counted(&room), [(Limit::HeadTime, 1)]);
        }
    }

    #[tokio::test]
    async fn what_is_held_of_open_heads_is_held_in_all() {
        let room = Room::default();
        let payload = [0x90; 1000];
        let mut all = Vec::new();
        let refused = loop {
            let mut next = incoming(&room);
            // A thousand bytes that are a thousand fields; then a part of more.
            let begin = [frame(HEADERS, 0, 1, &payload), frame(CONTINUATION, 0, 1, &payload)].concat();
            if let Err(fault) = next.came_in(&begin[..1500], &mut 0) {
                break fault;
            }
            all.push(next);
        };
        assert_eq!((refused.to_string().as_str(), all.len()), ("all_heads", 4));
        assert_eq!(counted(&room), [(Limit::AllHeads, 1)]);
        // Who finishes gives it back.
        let end = [
            &payload[..1000 - (1500 - 1009 - 9)],
            &frame(CONTINUATION, END_HEADERS, 1, &[]),
        ]
        .concat();
        all[0].came_in(&end, &mut 0).unwrap();
        incoming(&room)
            .came_in(&frame(HEADERS, 0, 1, &payload), &mut 0)
            .unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn so_many_in_a_second_and_what_was_sent() {
        let ping = frame(PING, 0, 0, &[0; 8]);
        let room = Room::default();
        let mut slow = incoming(&room);
        for _ in 0..10 {
            slow.came_in(&ping.repeat(100), &mut 0).unwrap();
            advance(SPAN).await;
        }
        let mut sent = 150;
        let mut asked = incoming(&room);
        asked.came_in(&ping.repeat(250), &mut sent).unwrap();
        assert_eq!(sent, 0);
        assert!(asked.came_in(&ping, &mut sent).is_err());
        assert_eq!(counted(&room), [(Limit::ControlFrames, 1)]);
        // What requests are made of may come as often as it likes.
        let request = [
            frame(HEADERS, END_HEADERS, 1, &[0; 9]),
            frame(DATA, 0, 1, &[0; 9]),
            frame(DATA, END_STREAM, 1, &[]),
            frame(RST_STREAM, 0, 1, &[0; 4]),
        ];
        incoming(&room).came_in(&request.concat().repeat(1000), &mut 0).unwrap();
    }

    proptest! {
        #[test]
        fn however_it_is_cut_the_same_is_open(
            frames in prop::collection::vec((0_u8..12, any::<u8>(), 0_usize..50), 0..30),
            cut in 1_usize..40,
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            let _entered = runtime.enter();
            let bytes: Vec<u8> = frames.iter().flat_map(|(kind, flags, length)| frame(*kind, *flags, 1, &vec![0; *length])).collect();
            let room = Room::default();
            let (mut once, mut cuts) = (incoming(&room), incoming(&room));
            once.came_in(&bytes, &mut 0).unwrap();
            for piece in bytes.chunks(cut) {
                cuts.came_in(piece, &mut 0).unwrap();
            }
            let open = |incoming: &Incoming| incoming.open.as_ref().map(|open| (open.read, open.part, open.is_last));
            prop_assert_eq!(open(&once), open(&cuts));
            prop_assert_eq!(once.counted, cuts.counted);
        }
    }
}
