// SPDX-License-Identifier: Apache-2.0
//! A pod: its address and the connections to it.
//!
//! Mechanism: idle HTTP/1.1 connections are stacks, the warmest on top (`shelves`); before one is used its socket is looked
//! at, so that a request is not written into an end; one that may be repeated goes by what the runtime has heard of the socket.
//! HTTP/2 has a connection for each `pod_streams`, or for as many as the pod allows; one that is silent gets none that
//! another may have (`silence`), and each has room for all its streams: one whose client does not read holds up no other. A
//! stream that is cut leaves frames of the pod on their way: one on which many were cut is
//! replaced before h2 takes them for an attack.
//! Dialling: Knative's schedule (data-plane spec 3.3): only time-outs are tried again, each attempt more patient.
//! Invariants: at most `Limits::idle_to_pod` idle connections, and `pod_connections` of HTTP/2; these are made one at a time, so
//! that requests which need one at the same moment make one.
//! A pod that its own node grants (`peers`) is there for one request, with the one connection that leads through that node.
//! Depends on: limits, reader, shelves, silence, stream, way.

use crate::limits::Limits;
use crate::reader::Reader;
use crate::shelves::Shelves;
use crate::silence::Silence;
use crate::stream::Open;
pub(crate) use crate::stream::{Look, Stream};
use crate::way::{FromPod, ToPod};
use bytes::Bytes;
use logic::limiter::PodId;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

/// Attempts after the first.
const RETRIES: u32 = 15;

/// Streams that were cut and are remembered for a second: what the pod still says of them is dropped.
pub(crate) const REMEMBERED: usize = 4096;
/// Streams that were cut on a connection before it gets no new ones: what comes for those that are forgotten is counted.
const TWO_CUT: usize = 16_384;
/// Frames for forgotten streams that h2 bears before it ends the connection, more than as many streams can bring about. A pod
/// can make each of them wait to be reset, so they are bounded.
pub(crate) const STRAYS: usize = 4 * TWO_CUT;

/// Why there is no connection; nothing was sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DialFault {
    #[error("dial tcp {0}: connect: {1}")]
    Refused(SocketAddr, io::Error),
    /// There is nothing to connect with; another pod's address may have ports left.
    #[error("dial tcp {0}: connect: {1}")]
    Ours(SocketAddr, io::Error),
    #[error("dial tcp {0}: i/o timeout")]
    TimedOut(SocketAddr),
    /// The pod closed a connection that had been used, and its node must be asked for another.
    #[error("dial tcp {0}: the connection that was granted has ended")]
    Used(SocketAddr),
}

/// A pod of a revision.
#[derive(Debug)]
pub(crate) struct Pod {
    pub(crate) id: PodId,
    pub(crate) address: SocketAddr,
    /// The address as `Host`.
    pub(crate) authority: Box<str>,
    /// It takes requests, and did not refuse a connection just now.
    pub(crate) is_open: AtomicBool,
    idle: Shelves,
    /// Connections that are open, but for those of HTTP/2 and those through another node.
    connections: Arc<AtomicUsize>,
    two: Mutex<Vec<Two>>,
    /// Who holds it makes an HTTP/2 connection.
    dialling: tokio::sync::Mutex<()>,
    /// Only what its own node granted leads to it.
    is_granted: bool,
    /// Why its own node could not reach it.
    fault: Mutex<Option<DialFault>>,
}

impl Pod {
    pub(crate) fn new(id: PodId, address: SocketAddr) -> Self {
        Self {
            id,
            address,
            authority: address.to_string().into(),
            is_open: AtomicBool::new(false),
            idle: Shelves::default(),
            connections: Arc::default(),
            two: Mutex::default(),
            dialling: tokio::sync::Mutex::default(),
            is_granted: false,
            fault: Mutex::default(),
        }
    }

    /// The same pod for one request, through its own node.
    pub(crate) fn granted(&self, way: Result<Stream, DialFault>) -> Self {
        let mut pod = Self::new(self.id, self.address);
        pod.is_granted = true;
        match way {
            Ok(stream) => pod.idle.push(stream, Instant::now(), Duration::MAX, 1, 1),
            Err(fault) => pod.fault = Mutex::new(Some(fault)),
        }
        pod
    }

    /// An idle connection that is still good, at this time.
    pub(crate) fn idle(&self, limits: &Limits, now: Instant, look: Look) -> Option<Stream> {
        loop {
            let (stream, since) = self.idle.pop()?;
            let is_young = now.saturating_duration_since(since) < limits.idle_to_pod_time;
            if is_young && let Some(stream) = stream.here(look) {
                return Some(stream);
            }
        }
    }

    /// Keeps a connection for the next request.
    pub(crate) fn keep(&self, mut stream: Stream, limits: &Limits) {
        if let ToPod::Peer(tunnel) = stream.writer {
            return tunnel.end_clean();
        }
        stream.is_reused = true;
        stream.reader.rest();
        let open = self.connections.load(Relaxed);
        self.idle.push(
            stream,
            Instant::now(),
            limits.idle_to_pod_time,
            limits.idle_to_pod,
            open,
        );
    }

    /// Closes connections that nobody used for so long; of HTTP/2 as far as earlier looks found them idle, too.
    pub(crate) fn close_idle(&self, limits: &Limits, now: Instant) {
        self.idle.close_old(now, limits.idle_to_pod_time);
        let mut all = self.two.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain_mut(|two| !two.rests_for(now, limits.idle_to_pod_time));
    }

    /// A new connection.
    pub(crate) async fn dial(&self, retries: Retries) -> Result<Stream, DialFault> {
        if self.is_granted {
            let fault = self.fault.lock().unwrap_or_else(PoisonError::into_inner).take();
            return Err(fault.unwrap_or(DialFault::Used(self.address)));
        }
        let (reader, writer) = self.connect(retries).await?.into_split();
        let reader = Reader::new(FromPod::Socket(reader)).eager();
        Ok(Stream::new(
            reader,
            ToPod::Socket(writer.into()),
            Some(Open::count(&self.connections)),
        ))
    }

    async fn connect(&self, retries: Retries) -> Result<TcpStream, DialFault> {
        let most = match retries {
            Retries::Here => RETRIES,
            Retries::Elsewhere => 0,
        };
        let mut patience = Duration::from_millis(50);
        for attempt in 0..=most {
            if attempt > 0 {
                sleep(Duration::from_millis(fastrand::u64(30..60))).await;
                patience = patience.mul_f64(if attempt > 1 { 1.4 } else { 1.0 });
            }
            match timeout(
                patience.mul_f64(1.0 + fastrand::f64() / 10.0),
                TcpStream::connect(self.address),
            )
            .await
            {
                Ok(Ok(stream)) => {
                    // Without it answers wait for each other; a socket that cannot is as good as any.
                    drop(stream.set_nodelay(true));
                    return Ok(stream);
                }
                Ok(Err(fault)) if is_ours(&fault) => return Err(DialFault::Ours(self.address, fault)),
                Ok(Err(fault)) if fault.kind() != io::ErrorKind::TimedOut => {
                    return Err(DialFault::Refused(self.address, fault));
                }
                Ok(Err(_)) | Err(_) => {}
            }
        }
        Err(DialFault::TimedOut(self.address))
    }

    /// A place for one more HTTP/2 request, on a connection that has room for it if there may be one.
    pub(crate) async fn two(&self, retries: Retries, limits: &Limits, tasks: &life::Tasks) -> Result<Lease, TwoFault> {
        if let Some(lease) = self.lease(limits) {
            return Ok(lease);
        }
        // One dials; whoever waited for it meanwhile takes what it brought.
        let _turn = self.dialling.lock().await;
        if let Some(lease) = self.lease(limits) {
            return Ok(lease);
        }
        let granted = match self.is_granted {
            true => self.idle.pop(),
            false => None,
        };
        let stream = match granted {
            Some((stream, _)) => stream,
            None => self.dial(retries).await?,
        };
        let stream = tokio::io::join(stream.reader.io, stream.writer);
        let (sender, connection) = h2::client::Builder::new()
            .initial_window_size(limits.pod_stream_window)
            .initial_connection_window_size(limits.pod_connection_window(limits.pod_streams))
            .max_send_buffer_size(limits.send_buffer)
            .max_header_list_size(u32::try_from(limits.response_head).unwrap_or(u32::MAX))
            .max_concurrent_reset_streams(REMEMBERED)
            .max_local_error_reset_streams(Some(STRAYS))
            .enable_push(false)
            .handshake::<_, Bytes>(stream)
            .await?;
        // Its end shows in the requests on it.
        tasks.spawn("HTTP/2 connection to a pod", async move { drop(connection.await) });
        let mut shared = Two {
            sender: sender.ready().await?,
            streams: Arc::default(),
            rests_since: None,
        };
        let lease = shared.lease();
        self.two.lock().unwrap_or_else(PoisonError::into_inner).push(shared);
        Ok(lease)
    }

    /// A place on the connection with the fewest streams, if that has room, or if there are so many already; a silent one only
    /// if there is no other.
    fn lease(&self, limits: &Limits) -> Option<Lease> {
        let mut all = self.two.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain_mut(Two::is_of_use);
        let is_full = all.len() >= limits.pod_connections;
        let least = all
            .iter_mut()
            .min_by_key(|two| (two.streams.silence.is_silent(), two.load()))?;
        (least.has_room(limits) || is_full).then(|| least.lease())
    }
}

/// Whether a connection failed before the pod heard of it: no descriptor, no port, no memory.
fn is_ours(fault: &io::Error) -> bool {
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    const ENOBUFS: i32 = 105;
    matches!(fault.raw_os_error(), Some(ENFILE | EMFILE | ENOBUFS))
        || matches!(
            fault.kind(),
            io::ErrorKind::AddrNotAvailable | io::ErrorKind::OutOfMemory
        )
}

/// An HTTP/2 connection to a pod.
#[derive(Debug)]
struct Two {
    sender: h2::client::SendRequest<Bytes>,
    /// Each lease has a clone.
    streams: Arc<Streams>,
    /// When it was found without a lease.
    rests_since: Option<Instant>,
}

/// What became of the streams of a connection.
#[derive(Debug, Default)]
struct Streams {
    silence: Silence,
    /// So many did not come to their end.
    cut: AtomicUsize,
}

impl Two {
    /// It has not ended, is not left alone in its silence, and has not had too many streams cut. What runs on it goes on.
    fn is_of_use(&mut self) -> bool {
        is_alive(&mut self.sender)
            && (self.load() > 0 || !self.streams.silence.is_silent())
            && self.streams.cut.load(Relaxed) < TWO_CUT
    }

    fn load(&self) -> usize {
        Arc::strong_count(&self.streams) - 1
    }

    fn has_room(&self, limits: &Limits) -> bool {
        let most = self.sender.current_max_send_streams().min(limits.pod_streams as usize);
        !self.streams.silence.is_silent() && self.load() < most
    }

    fn rests_for(&mut self, now: Instant, age: Duration) -> bool {
        self.load() == 0 && now.saturating_duration_since(*self.rests_since.get_or_insert(now)) > age
    }

    fn lease(&mut self) -> Lease {
        self.rests_since = None;
        self.streams.silence.begin();
        Lease {
            sender: self.sender.clone(),
            streams: Arc::clone(&self.streams),
            is_answered: false,
            is_whole: false,
        }
    }
}

/// Whether a connection, to a pod or another daemon, takes one more request.
pub(crate) fn is_alive(sender: &mut h2::client::SendRequest<Bytes>) -> bool {
    let mut context = Context::from_waker(Waker::noop());
    !matches!(sender.poll_ready(&mut context), Poll::Ready(Err(_)))
}

/// A place for one request on an HTTP/2 connection, until it is dropped.
#[derive(Debug)]
pub(crate) struct Lease {
    pub(crate) sender: h2::client::SendRequest<Bytes>,
    streams: Arc<Streams>,
    is_answered: bool,
    is_whole: bool,
}

impl Lease {
    /// The pod has said something about the request.
    pub(crate) fn answered(&mut self) {
        if !std::mem::replace(&mut self.is_answered, true) {
            self.streams.silence.answered();
        }
    }

    /// The pod has said all it had to say.
    pub(crate) fn whole(&mut self) {
        self.is_whole = true;
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if !self.is_answered {
            self.streams.silence.given_up();
        }
        if !self.is_whole {
            self.streams.cut.fetch_add(1, Relaxed);
        }
    }
}

/// Whether a dial that timed out is tried again on the same pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Retries {
    /// There is no other.
    Here,
    /// The caller knows another.
    Elsewhere,
}

/// Why there is no HTTP/2 request to the pod.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TwoFault {
    #[error(transparent)]
    Dial(#[from] DialFault),
    #[error(transparent)]
    Protocol(#[from] h2::Error),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::silence::SILENT;
    use std::sync::atomic::Ordering::SeqCst;
    use tokio::net::TcpListener;
    use tokio::sync::{Notify, watch};

    #[test]
    fn what_this_process_lacks_is_no_word_of_the_pod() {
        let of = |code| is_ours(&io::Error::from_raw_os_error(code));
        // ENOMEM, ENFILE, EMFILE, EADDRNOTAVAIL, ENOBUFS; ECONNRESET, ETIMEDOUT, ECONNREFUSED, EHOSTUNREACH.
        assert_eq!([12, 23, 24, 99, 105].map(of), [true; 5]);
        assert_eq!([104, 110, 111, 113].map(of), [false; 4]);
    }

    /// A pod that allows so many streams a connection, and counts connections.
    async fn pod_of_streams(tasks: &life::Tasks, most: u32) -> (Pod, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let pod = Pod::new(PodId(1), listener.local_addr().unwrap());
        let (count, inner) = (Arc::new(AtomicUsize::new(0)), tasks.clone());
        let counted = Arc::clone(&count);
        tasks.spawn("pod", async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                counted.fetch_add(1, SeqCst);
                inner.spawn("pod's connection", async move {
                    let mut builder = h2::server::Builder::new();
                    let handshake = builder.max_concurrent_streams(most).handshake::<_, Bytes>(stream);
                    let mut connection = handshake.await.unwrap();
                    while connection.accept().await.is_some() {}
                });
            }
        });
        (pod, count)
    }

    /// How many connections there are when there are as many as that: each is there before the pod has accepted it.
    async fn accepted(count: &AtomicUsize, least: usize) -> usize {
        let so_many = async {
            while count.load(SeqCst) < least {
                tokio::task::yield_now().await;
            }
        };
        timeout(Duration::from_secs(10), so_many).await.unwrap();
        count.load(SeqCst)
    }

    #[tokio::test]
    async fn a_full_http2_connection_gets_a_second_beside_it() {
        let tasks = life::Tasks::new();
        let (pod, count) = pod_of_streams(&tasks, 1).await;
        let limits = Limits::default();
        let first = pod.two(Retries::Here, &limits, &tasks).await.unwrap();
        // The pod's settings come after the connection may be used.
        while first.sender.current_max_send_streams() != 1 {
            tokio::task::yield_now().await;
        }
        let second = pod.two(Retries::Here, &limits, &tasks).await.unwrap();
        assert_eq!(accepted(&count, 2).await, 2);
        drop(first);
        let third = pod.two(Retries::Here, &limits, &tasks).await.unwrap();
        assert_eq!(count.load(SeqCst), 2);
        drop((second, third));
        tasks.stop().await;
    }

    #[tokio::test]
    async fn there_are_as_many_http2_connections_and_streams_as_the_limits_say() {
        let tasks = life::Tasks::new();
        let limits = Limits {
            pod_connections: 2,
            pod_streams: 3,
            ..Limits::default()
        };
        let (pod, _) = pod_of_streams(&tasks, 100).await;
        let mut leases = Vec::new();
        for loads in [&[1][..], &[2], &[3], &[3, 1], &[3, 2], &[3, 3], &[4, 3]] {
            leases.push(pod.two(Retries::Here, &limits, &tasks).await.unwrap());
            let now: Vec<_> = pod.two.lock().unwrap().iter().map(Two::load).collect();
            assert_eq!(now, loads);
        }
        drop(leases);
        tasks.stop().await;
    }

    #[tokio::test]
    async fn a_connection_that_answers_nobody_gets_no_more() {
        let tasks = life::Tasks::new();
        let (pod, count) = pod_of_streams(&tasks, 100).await;
        let limits = Limits::default();
        let later = async || {
            tokio::time::pause();
            tokio::time::advance(SILENT).await;
            tokio::time::resume();
        };
        let mut waits = pod.two(Retries::Here, &limits, &tasks).await.unwrap();
        drop(pod.two(Retries::Here, &limits, &tasks).await.unwrap());
        assert_eq!(accepted(&count, 1).await, 1);
        later().await;
        // It goes by another one, and so does who comes next.
        let mut answered = pod.two(Retries::Here, &limits, &tasks).await.unwrap();
        answered.answered();
        assert_eq!(accepted(&count, 2).await, 2);
        drop(pod.two(Retries::Here, &limits, &tasks).await.unwrap());
        assert_eq!(
            pod.two.lock().unwrap().iter().map(Two::load).collect::<Vec<_>>(),
            [1, 1]
        );
        // It was only slow.
        waits.answered();
        drop(waits);
        drop(pod.two(Retries::Here, &limits, &tasks).await.unwrap());
        assert_eq!(pod.two.lock().unwrap().len(), 2);
        // Who was given up on it in its silence is the last on it.
        let waits = pod.two(Retries::Here, &limits, &tasks).await.unwrap();
        later().await;
        drop(waits);
        drop(pod.two(Retries::Here, &limits, &tasks).await.unwrap());
        assert_eq!(pod.two.lock().unwrap().len(), 1);
        assert_eq!(count.load(SeqCst), 2);
        drop(answered);
        tasks.stop().await;
    }

    /// A pod of HTTP/2 that answers whom it hears no more of, and the others when it is told to; and what it heard: heads,
    /// resets.
    async fn late_pod(tasks: &life::Tasks, tell: Arc<Notify>) -> (Pod, watch::Receiver<(usize, usize)>) {
        use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _};
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let pod = Pod::new(PodId(1), listener.local_addr().unwrap());
        let (says, heard) = watch::channel((0, 0));
        tasks.spawn("pod", async move {
            let (stream, _) = listener.accept().await.unwrap();
            let (from, mut to) = stream.into_split();
            let mut from = tokio::io::BufReader::new(from);
            from.read_exact(&mut [0; 24]).await.unwrap();
            // SETTINGS without any.
            to.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.unwrap();
            // HEADERS of `:status: 200`.
            let head = |id: [u8; 4], flags| [[0, 0, 1, 1, flags].as_slice(), &id, &[0x88]].concat();
            let mut first = None;
            loop {
                let mut frame = [0; 9];
                tokio::select! {
                    read = from.fill_buf() => if read.unwrap().is_empty() { return },
                    () = tell.notified() => {
                        to.write_all(&head(first.unwrap(), 5)).await.unwrap();
                        continue;
                    }
                }
                from.read_exact(&mut frame).await.unwrap();
                let length = u64::from(u32::from_be_bytes([0, frame[0], frame[1], frame[2]]));
                tokio::io::copy(&mut (&mut from).take(length), &mut tokio::io::sink())
                    .await
                    .unwrap();
                let id = [frame[5], frame[6], frame[7], frame[8]];
                match frame[3] {
                    1 => {
                        first.get_or_insert(id);
                        says.send_modify(|(heads, _)| *heads += 1);
                    }
                    3 => {
                        if to.write_all(&head(id, 4)).await.is_err() {
                            return;
                        }
                        says.send_modify(|(_, resets)| *resets += 1);
                    }
                    _ => {}
                }
            }
        });
        (pod, heard)
    }

    #[tokio::test]
    async fn one_who_cancels_again_and_again_does_not_end_the_others() {
        const ROUNDS: usize = 30;
        const AT_ONCE: usize = 99;
        let (tasks, tell) = (life::Tasks::new(), Arc::new(Notify::new()));
        let (pod, mut heard) = late_pod(&tasks, Arc::clone(&tell)).await;
        let limits = Limits::default();
        let ask = async || {
            let mut lease = pod.two(Retries::Here, &limits, &tasks).await.unwrap();
            let request = http::Request::get("http://pod/").body(()).unwrap();
            let (answer, _) = lease.sender.send_request(request, true).unwrap();
            // However long this takes, it is not silence.
            lease.answered();
            (lease, answer)
        };
        let (_lease, waits) = ask().await;
        let rounds = async {
            for round in 1..=ROUNDS {
                let mut asked = Vec::new();
                for _ in 0..AT_ONCE {
                    asked.push(ask().await);
                }
                heard
                    .wait_for(|(heads, _)| *heads == 1 + round * AT_ONCE)
                    .await
                    .unwrap();
                drop(asked);
                heard.wait_for(|(_, resets)| *resets == round * AT_ONCE).await.unwrap();
            }
            tell.notify_one();
            waits.await.unwrap()
        };
        let answer = timeout(Duration::from_secs(60), rounds).await.unwrap();
        assert_eq!(answer.status(), 200);
        tasks.stop().await;
    }

    #[tokio::test]
    async fn a_connection_on_which_too_many_were_cut_is_replaced() {
        let tasks = life::Tasks::new();
        let (pod, _) = pod_of_streams(&tasks, 100).await;
        let limits = Limits::default();
        let runs = pod.two(Retries::Here, &limits, &tasks).await.unwrap();
        for _ in 0..TWO_CUT {
            assert!(Arc::ptr_eq(&pod.lease(&limits).unwrap().streams, &runs.streams));
        }
        let next = pod.two(Retries::Here, &limits, &tasks).await.unwrap();
        assert!(!Arc::ptr_eq(&next.streams, &runs.streams));
        assert!(is_alive(&mut runs.sender.clone()));
        // Who comes to its end counts nothing.
        for _ in 0..TWO_CUT {
            pod.lease(&limits).unwrap().whole();
        }
        assert!(Arc::ptr_eq(&pod.lease(&limits).unwrap().streams, &next.streams));
        tasks.stop().await;
    }

    /// What a core makes of this work, which must not take long.
    fn on_core<T: Send + 'static>(
        runtime: &tokio::runtime::Handle,
        work: impl Future<Output = T> + Send + 'static,
    ) -> T {
        let (said, heard) = std::sync::mpsc::channel();
        let work = async move { said.send(work.await).unwrap() };
        life::Tasks::new().spawn_on(runtime, "work", work);
        heard.recv_timeout(Duration::from_secs(10)).unwrap()
    }

    #[test]
    fn a_connection_that_lies_idle_on_another_core_is_used_there() {
        use std::io::{Read as _, Write as _};
        use tokio::io::AsyncWriteExt as _;
        let cores = crate::cores::Cores::start(std::num::NonZeroUsize::new(2)).unwrap();
        let spread = cores.spread();
        let (one, two) = (spread.least().unwrap(), spread.least().unwrap());
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let pod = Arc::new(Pod::new(PodId(1), listener.local_addr().unwrap()));
        let here = Arc::clone(&pod);
        on_core(one.0, async move {
            here.keep(here.dial(Retries::Here).await.unwrap(), &Limits::default());
        });
        let (mut accepted, _) = listener.accept().unwrap();
        let there = Arc::clone(&pod);
        let read = on_core(two.0, async move {
            let mut stream = there.idle(&Limits::default(), Instant::now(), Look::Known).unwrap();
            stream.writer.write_all(b"ask").await.unwrap();
            let mut asked = [0; 3];
            accepted.read_exact(&mut asked).unwrap();
            accepted.write_all(b"answer").unwrap();
            let read = stream.reader.fill().await.unwrap();
            there.keep(stream, &Limits::default());
            // An end that came meanwhile is seen, though the runtime has not heard of it.
            drop(accepted);
            read
        });
        assert!(read);
        assert_eq!(pod.connections.load(Relaxed), 1);
        let back = Arc::clone(&pod);
        let is_over = on_core(one.0, async move {
            back.idle(&Limits::default(), Instant::now(), Look::Known).is_none()
        });
        assert!(is_over);
        assert_eq!(pod.connections.load(Relaxed), 0);
    }

    #[test]
    fn no_more_lie_idle_than_may() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let pod = Pod::new(PodId(1), listener.local_addr().unwrap());
            let limits = Limits {
                idle_to_pod: 2,
                ..Limits::default()
            };
            let mut used = Vec::new();
            for _ in 0..4 {
                used.push(pod.dial(Retries::Here).await.unwrap());
            }
            used.into_iter().for_each(|stream| pod.keep(stream, &limits));
            assert_eq!(pod.connections.load(Relaxed), 2);
        });
    }
}
