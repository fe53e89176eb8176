// SPDX-License-Identifier: Apache-2.0
//! The daemons of other nodes as this one speaks to them: asking for slots, offers and declines.
//!
//! Problem: a request for a pod of another node needs that node's leave, and a way to the pod (design 4.1).
//! Mechanism: a few connections of HTTP/2 a node, made when they are needed. An ask is a request of its own; the answer says
//! no, or that its data are from now on the bytes of a connection to the pod. A session is a control stream's life; that
//! stream has a connection of its own.
//! Invariants: a tunnel that nobody reads holds up no other, nor the control stream; nothing is asked without a session, nor
//! answered for an old one; a name keeps its number for ever.
//! Depends on: words, control, pod, way, limits.

#![expect(
    clippy::disallowed_types,
    reason = "what waits is a word or two of a request at hand, and those are bounded by `Limits` and the limiter's queue"
)]

pub(crate) mod control;
pub(crate) mod words;

use crate::limits::Limits;
use crate::pod::{DialFault, REMEMBERED, Stream, is_alive};
use crate::reader::Reader;
use crate::way::{FromPeer, FromPod, ToPeer, ToPod};
use bytes::Bytes;
use h2::client::SendRequest;
use h2::{RecvStream, SendStream};
use http::{HeaderName, HeaderValue, Request};
use life::Tasks;
use logic::limiter::NodeId;
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::watch;
use tokio::time::timeout;
use words::Word;

/// A connection to a daemon must stand within this time.
const DIAL: Duration = Duration::from_secs(1);
/// A pod's own node must answer within this time, its own dialling included.
const PATIENCE: Duration = Duration::from_secs(15);

/// A slot that is wanted.
pub(crate) struct Question<'a> {
    pub(crate) namespace: &'a str,
    pub(crate) revision: &'a str,
    pub(crate) pod: SocketAddr,
    pub(crate) offer: Option<u64>,
    pub(crate) has_other: bool,
    pub(crate) fresh: bool,
}

/// What the pod's own node says.
pub(crate) enum Reply {
    /// The slot is ours, and this is the way to the pod, if it could be reached.
    Granted(Result<Stream, DialFault>),
    /// Not now; it will offer. The number of the refusal.
    Busy(u64),
    /// It cannot be asked.
    Unreachable,
}

/// Every other daemon that was ever heard of.
pub(crate) struct Links {
    me: HeaderValue,
    limits: Limits,
    tasks: Tasks,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    numbers: HashMap<String, NodeId>,
    /// Those that can be asked.
    links: HashMap<NodeId, Arc<Link>>,
    /// Those that ask here: the session's number, and what takes offers to them.
    askers: HashMap<NodeId, (u64, UnboundedSender<Word>)>,
}

/// A daemon that can be asked.
pub(crate) struct Link {
    pub(crate) session: u64,
    address: SocketAddr,
    words: UnboundedSender<Word>,
    lines: tokio::sync::Mutex<Vec<Arc<Line>>>,
    /// Set when the other end is dead: then its connections are given up.
    dead: watch::Sender<bool>,
}

/// A connection.
struct Line {
    sender: SendRequest<Bytes>,
}

impl Links {
    pub(crate) fn new(me: HeaderValue, limits: Limits, tasks: Tasks) -> Self {
        Self {
            me,
            limits,
            tasks,
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of a node, from now on.
    pub(crate) fn number(&self, name: &str) -> NodeId {
        let mut state = self.state();
        let next = NodeId(u32::try_from(state.numbers.len()).unwrap_or(u32::MAX));
        *state.numbers.entry(name.to_owned()).or_insert(next)
    }

    /// Opens a session with a daemon: its control stream. `words` is what goes there.
    pub(crate) async fn open(
        &self,
        address: SocketAddr,
        words: UnboundedSender<Word>,
    ) -> io::Result<(Arc<Link>, RecvStream, SendStream<Bytes>)> {
        let link = Arc::new(Link {
            session: fastrand::u64(..),
            address,
            words,
            lines: tokio::sync::Mutex::default(),
            dead: watch::Sender::new(false),
        });
        // One of its own: what fills the others must not keep a beat back.
        let line = self.connect(&link).await?;
        let mut request = self.head(&link)?;
        request
            .headers_mut()
            .insert(words::CONTROL, HeaderValue::from_static("1"));
        let opening = async {
            let mut sender = line.sender.ready().await?;
            let (answer, out) = sender.send_request(request, false)?;
            Ok::<_, h2::Error>((answer.await?, out))
        };
        let (answer, out) = timeout(DIAL, opening)
            .await
            .map_err(|_| io::ErrorKind::TimedOut)?
            .map_err(io::Error::other)?;
        if said(&answer, &words::ANSWER) != words::answer::WELCOME {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        Ok((link, answer.into_body(), out))
    }

    /// From now on this node can be asked, by this link.
    pub(crate) fn publish(&self, node: NodeId, link: &Arc<Link>) {
        self.state().links.insert(node, Arc::clone(link));
    }

    /// From now on it cannot.
    pub(crate) fn withdraw(&self, node: NodeId, link: &Link) {
        let mut state = self.state();
        if state
            .links
            .get(&node)
            .is_some_and(|known| known.session == link.session)
        {
            state.links.remove(&node);
        }
    }

    /// That node asks here in this session from now on.
    pub(crate) fn admit(&self, node: NodeId, session: u64, words: UnboundedSender<Word>) {
        self.state().askers.insert(node, (session, words));
    }

    /// That session is over; false if it was over already.
    pub(crate) fn dismiss(&self, node: NodeId, session: Option<u64>) -> bool {
        let mut state = self.state();
        let is_it = |known: &(u64, _)| session.is_none_or(|session| known.0 == session);
        if state.askers.get(&node).is_some_and(is_it) {
            state.askers.remove(&node);
            return true;
        }
        false
    }

    /// Whether that node asks here in this session.
    pub(crate) fn is_current(&self, node: NodeId, session: u64) -> bool {
        self.state().askers.get(&node).is_some_and(|known| known.0 == session)
    }

    /// Takes an offer to who asks, or a decline to who is asked; to whom there is no way, there is nothing to tell.
    pub(crate) fn tell(&self, node: NodeId, word: Word) {
        let state = self.state();
        let to = match &word {
            Word::Decline(..) => state.links.get(&node).map(|link| &link.words),
            _ => state.askers.get(&node).map(|(_, words)| words),
        };
        if let Some(to) = to {
            drop(to.send(word));
        }
    }

    /// Asks a pod's own node for a slot.
    pub(crate) async fn ask(&self, node: NodeId, question: &Question<'_>) -> Reply {
        let link = self.state().links.get(&node).map(Arc::clone);
        let Some(link) = link else {
            return Reply::Unreachable;
        };
        let asking = self.ask_by(&link, question);
        match timeout(PATIENCE, asking).await {
            Ok(Ok(reply)) => reply,
            Ok(Err(_)) | Err(_) => Reply::Unreachable,
        }
    }

    async fn ask_by(&self, link: &Arc<Link>, question: &Question<'_>) -> io::Result<Reply> {
        let line = self.line(link).await?;
        let mut request = self.head(link)?;
        let headers = request.headers_mut();
        let mut add =
            |name: HeaderName, value: &str| HeaderValue::from_str(value).map(|value| headers.insert(name, value));
        let asked = [
            (words::NAMESPACE, question.namespace.to_owned()),
            (words::REVISION, question.revision.to_owned()),
            (words::POD, question.pod.to_string()),
        ];
        let offer = question.offer.map(|offer| (words::OFFER, offer.to_string()));
        let fresh = question.fresh.then(|| (words::FRESH, "1".to_owned()));
        let elsewhere = question.has_other.then(|| (words::ELSEWHERE, "1".to_owned()));
        for (name, value) in asked.into_iter().chain(offer).chain(fresh).chain(elsewhere) {
            add(name, &value).map_err(io::Error::other)?;
        }
        let mut sender = line.sender.clone().ready().await.map_err(io::Error::other)?;
        let (answer, out) = sender.send_request(request, false).map_err(io::Error::other)?;
        let answer = answer.await.map_err(io::Error::other)?;
        let said_of_it = said(&answer, &words::ANSWER);
        let fault = || io::Error::other(said(&answer, &words::FAULT).to_owned());
        let is_reused = match said_of_it {
            words::answer::GRANTED => false,
            words::answer::REUSED => true,
            words::answer::BUSY => {
                let number = said(&answer, &words::NUMBER).parse();
                return Ok(number.map_or(Reply::Unreachable, Reply::Busy));
            }
            words::answer::REFUSED => return Ok(Reply::Granted(Err(DialFault::Refused(question.pod, fault())))),
            words::answer::TIMED_OUT => return Ok(Reply::Granted(Err(DialFault::TimedOut(question.pod)))),
            _ => return Ok(Reply::Unreachable),
        };
        let reader = Reader::new(FromPod::Peer(FromPeer::new(answer.into_body())));
        let mut stream = Stream::new(reader, ToPod::Peer(ToPeer::new(out, line)), None);
        stream.is_reused = is_reused;
        Ok(Reply::Granted(Ok(stream)))
    }

    fn head(&self, link: &Link) -> io::Result<Request<()>> {
        let mut request = Request::post(format!("http://{}/", link.address))
            .version(http::Version::HTTP_2)
            .body(())
            .map_err(io::Error::other)?;
        request.headers_mut().insert(words::NODE, self.me.clone());
        request
            .headers_mut()
            .insert(words::SESSION, HeaderValue::from(link.session));
        Ok(request)
    }

    /// A connection with room for one more tunnel.
    async fn line(&self, link: &Arc<Link>) -> io::Result<Arc<Line>> {
        let mut lines = link.lines.lock().await;
        // One that has ended, or takes no more, would fail whatever is asked on it.
        lines.retain(|line| is_alive(&mut line.sender.clone()));
        // A tunnel holds its line, and so does who is about to open one.
        let ours = self.limits.peer_streams as usize;
        let most = |line: &Line| line.sender.current_max_send_streams().min(ours).max(1);
        if let Some(line) = lines.iter().find(|line| Arc::strong_count(line) <= most(line)) {
            return Ok(Arc::clone(line));
        }
        let line = Arc::new(self.connect(link).await?);
        lines.push(Arc::clone(&line));
        Ok(line)
    }

    async fn connect(&self, link: &Link) -> io::Result<Line> {
        let connecting = async {
            let stream = TcpStream::connect(link.address).await?;
            stream.set_nodelay(true)?;
            h2::client::Builder::new()
                .initial_window_size(self.limits.pod_stream_window)
                .initial_connection_window_size(self.limits.pod_connection_window(self.limits.peer_streams))
                .max_send_buffer_size(self.limits.send_buffer)
                // A request that was given up leaves frames of the other end on their way: no reason to end all the others.
                .max_concurrent_reset_streams(REMEMBERED)
                .max_local_error_reset_streams(None)
                .enable_push(false)
                .handshake::<_, Bytes>(stream)
                .await
                .map_err(io::Error::other)
        };
        let (sender, connection) = timeout(DIAL, connecting).await.map_err(|_| io::ErrorKind::TimedOut)??;
        let mut dead = link.dead.subscribe();
        self.tasks.spawn("connection to a daemon", async move {
            tokio::select! {
                // Its end shows in what runs on it.
                _ = connection => {}
                Ok(_) = dead.wait_for(|dead| *dead) => {}
            }
        });
        Ok(Line { sender })
    }
}

impl Link {
    /// The other end is dead: what runs there has failed.
    pub(crate) fn bury(&self) {
        self.dead.send_replace(true);
    }
}

fn said<'a, T>(answer: &'a http::Response<T>, name: &HeaderName) -> &'a str {
    crate::message::text(answer.headers(), name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;
    use tokio::sync::Notify;

    /// A daemon that ends its first connection when it is told to, and keeps others.
    async fn daemon(tasks: &Tasks, leave: &Arc<Notify>) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (inner, leave) = (tasks.clone(), Arc::clone(leave));
        tasks.spawn("daemon", async move {
            for number in 0.. {
                let (stream, _) = listener.accept().await.unwrap();
                let leave = Arc::clone(&leave);
                inner.spawn("daemon's connection", async move {
                    let mut connection = h2::server::handshake(stream).await.unwrap();
                    loop {
                        tokio::select! {
                            accepted = connection.accept() => if !matches!(accepted, Some(Ok(_))) { return },
                            () = leave.notified(), if number == 0 => connection.graceful_shutdown(),
                        }
                    }
                });
            }
        });
        address
    }

    /// A link to this daemon.
    fn link(address: SocketAddr) -> Arc<Link> {
        Arc::new(Link {
            session: 1,
            address,
            words: tokio::sync::mpsc::unbounded_channel().0,
            lines: tokio::sync::Mutex::default(),
            dead: watch::Sender::new(false),
        })
    }

    #[tokio::test]
    async fn a_connection_has_as_many_requests_as_the_limits_say() {
        let (tasks, stays) = (Tasks::new(), Arc::new(Notify::new()));
        let limits = Limits {
            peer_streams: 2,
            ..Limits::default()
        };
        let links = Links::new(HeaderValue::from_static("me"), limits, tasks.clone());
        let link = link(daemon(&tasks, &stays).await);
        let mut held = Vec::new();
        for lines in [1, 1, 2, 2, 3] {
            held.push(links.line(&link).await.unwrap());
            assert_eq!(link.lines.lock().await.len(), lines, "{} requests", held.len());
        }
        // Who has gone makes room.
        held.remove(0);
        held.push(links.line(&link).await.unwrap());
        assert_eq!(link.lines.lock().await.len(), 3);
        drop(held);
        tasks.stop().await;
    }

    #[tokio::test]
    async fn a_connection_that_has_ended_is_not_asked_on() {
        let (tasks, leave) = (Tasks::new(), Arc::new(Notify::new()));
        let links = Links::new(HeaderValue::from_static("me"), Limits::default(), tasks.clone());
        let link = link(daemon(&tasks, &leave).await);
        let first = links.line(&link).await.unwrap();
        assert!(Arc::ptr_eq(&first, &links.line(&link).await.unwrap()));
        leave.notify_one();
        let heard = async {
            while is_alive(&mut first.sender.clone()) {
                tokio::task::yield_now().await;
            }
        };
        timeout(Duration::from_secs(10), heard).await.unwrap();
        let second = links.line(&link).await.unwrap();
        assert!(!Arc::ptr_eq(&first, &second));
        second.sender.clone().ready().await.unwrap();
        assert!(Arc::ptr_eq(&second, &links.line(&link).await.unwrap()));
        assert_eq!(link.lines.lock().await.len(), 1);
        tasks.stop().await;
    }
}
