// SPDX-License-Identifier: Apache-2.0
//! A control stream, the same at both ends: lines both ways, and a beat, so that a dead end is noticed.
//!
//! Invariants: who has heard nothing for `SILENCE` of its own beats takes the other end for dead: a process that stood still, and
//! heard nobody meanwhile, does not; memory is one line and what the queue holds.
//! Depends on: words, h2.

use super::words::{LONGEST, Word};
use bytes::{Bytes, BytesMut};
use h2::{RecvStream, SendStream};
use std::future::poll_fn;
use std::time::Duration;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{MissedTickBehavior, interval};

/// Between two beats.
const BEAT: Duration = Duration::from_millis(500);
/// Without a word for so many beats of ours, three seconds, the other end is dead.
const SILENCE: u32 = 6;

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
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut unheard = 0;
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
            _ = beat.tick() => {
                if unheard >= SILENCE {
                    return Ending::Silent;
                }
                unheard += 1;
                if !say(&mut out, &Word::Beat) {
                    return Ending::Closed;
                }
            }
            data = poll_fn(|context| body.poll_data(context)) => {
                let Some(Ok(data)) = data else {
                    return Ending::Closed;
                };
                unheard = 0;
                // A stream that is over needs no window.
                drop(body.flow_control().release_capacity(data.len()));
                line.extend_from_slice(&data);
                if !read(&mut line, &mut hear) {
                    return Ending::Closed;
                }
            }
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

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::mpsc::unbounded_channel;
    use tokio::time::{Instant, advance, sleep, timeout};

    type Ends = ((RecvStream, SendStream<Bytes>), (RecvStream, SendStream<Bytes>));

    /// Both ends of a stream.
    async fn stream(tasks: &life::Tasks) -> Ends {
        let (here, there) = tokio::io::duplex(64 << 10);
        let (made, accepted) = tokio::join!(h2::client::handshake(here), h2::server::handshake(there));
        let (mut sender, connection) = made.unwrap();
        tasks.spawn("connection here", async move { drop(connection.await) });
        let (answer, out) = sender.send_request(http::Request::new(()), false).unwrap();
        let mut connection: h2::server::Connection<_, Bytes> = accepted.unwrap();
        let (request, mut respond) = connection.accept().await.unwrap().unwrap();
        let back = respond.send_response(http::Response::new(()), false).unwrap();
        tasks.spawn("connection there", async move {
            let _sender = sender;
            drop(connection.accept().await);
        });
        let body = answer.await.unwrap().into_body();
        ((body, out), (request.into_body(), back))
    }

    #[tokio::test(start_paused = true)]
    async fn who_stood_still_does_not_take_the_other_end_for_dead() {
        let tasks = life::Tasks::new();
        let ((body, out), (other_body, other_out)) = stream(&tasks).await;
        let (_words, mut queue) = unbounded_channel();
        let (_other_words, mut other_queue) = unbounded_channel();
        let here = speak(body, out, &mut queue, |_| {});
        let there = speak(other_body, other_out, &mut other_queue, |_| {});
        let standing = async {
            for _ in 0..10 {
                sleep(Duration::from_millis(1200)).await;
                advance(Duration::from_secs(10)).await;
            }
            sleep(Duration::from_secs(10)).await;
        };
        tokio::select! {
            ending = here => panic!("{ending:?} here"),
            ending = there => panic!("{ending:?} there"),
            () = standing => {}
        }
        tasks.stop().await;
    }

    #[tokio::test(start_paused = true)]
    async fn an_end_without_a_word_is_dead_after_three_seconds() {
        let tasks = life::Tasks::new();
        let ((body, out), _silent) = stream(&tasks).await;
        let (_words, mut queue) = unbounded_channel();
        let begun = Instant::now();
        let ending = timeout(Duration::from_secs(60), speak(body, out, &mut queue, |_| {})).await;
        assert_eq!(ending.unwrap(), Ending::Silent);
        assert_eq!(begun.elapsed().as_secs(), 3);
        tasks.stop().await;
    }
}
