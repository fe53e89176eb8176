// SPDX-License-Identifier: Apache-2.0
//! A control stream, the same at both ends: lines both ways, and a beat, so that a dead end is noticed.
//!
//! Invariants: who has heard nothing for `SILENCE` takes the other end for dead; memory is one line and what the queue holds.
//! Depends on: words, h2.

use super::words::{LONGEST, Word};
use bytes::{Bytes, BytesMut};
use h2::{RecvStream, SendStream};
use std::future::poll_fn;
use std::time::Duration;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Instant, interval, sleep_until};

/// Between two beats.
const BEAT: Duration = Duration::from_millis(500);
/// Without a word for so long, the other end is dead.
const SILENCE: Duration = Duration::from_secs(3);

/// How a control stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// By our own will, or politely by the other end's.
    Closed,
    /// The other end is dead.
    Silent,
}

/// Speaks until either end has enough: `words` has no sender any more, or the stream ends.
pub(crate) async fn speak(
    mut body: RecvStream,
    mut out: SendStream<Bytes>,
    words: &mut UnboundedReceiver<Word>,
    mut hear: impl FnMut(Word),
) -> Ending {
    let mut beat = interval(BEAT);
    let mut dead = Instant::now() + SILENCE;
    let mut line = BytesMut::new();
    loop {
        tokio::select! {
            word = words.recv() => match word {
                Some(word) if say(&mut out, &word) => {}
                Some(_) => return Ending::Closed,
                None => {
                    drop(out.send_data(Bytes::new(), true));
                    return Ending::Closed;
                }
            },
            _ = beat.tick() => if !say(&mut out, &Word::Beat) {
                return Ending::Closed;
            },
            data = poll_fn(|context| body.poll_data(context)) => {
                let Some(Ok(data)) = data else {
                    return Ending::Closed;
                };
                dead = Instant::now() + SILENCE;
                // A stream that is over needs no window.
                drop(body.flow_control().release_capacity(data.len()));
                line.extend_from_slice(&data);
                if !read(&mut line, &mut hear) {
                    return Ending::Closed;
                }
            }
            () = sleep_until(dead) => return Ending::Silent,
        }
    }
}

/// Words are small and few; what the window does not take waits in the connection until the other end is dead.
fn say(out: &mut SendStream<Bytes>, word: &Word) -> bool {
    out.send_data(Bytes::from(word.to_string()), false).is_ok()
}

/// False: it is no word.
fn read(line: &mut BytesMut, hear: &mut impl FnMut(Word)) -> bool {
    while let Some(end) = line.iter().position(|byte| *byte == b'\n') {
        let whole = line.split_to(end + 1);
        let word = std::str::from_utf8(whole.trim_ascii_end()).ok().and_then(Word::parse);
        match word {
            Some(word) => hear(word),
            None => return false,
        }
    }
    line.len() <= LONGEST
}
