// SPDX-License-Identifier: Apache-2.0
//! What a slot that another node granted carries: streams both ways, an upgrade, a client that leaves; and how well it is used.
//!
//! Clients are at node a; the only pod is on node b, whose daemon grants and tunnels.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tests::rig::{Field, Rig};

use super::node::Node;

const PATIENCE: Duration = Duration::from_secs(40);
const GATEWAYS: [&str; 2] = ["10.77.1.2:8000", "10.77.2.2:8000"];
const POD: &str = "10.77.2.2:9100";
const SHORT: Duration = Duration::from_millis(20);
/// Many times what the way between takes, also where many others run.
const WORK: Duration = Duration::from_millis(200);

struct Site<'f> {
    field: &'f Field,
    gateway: SocketAddr,
    app: Arc<Seen>,
    _nodes: [Node<'f>; 2],
}

/// What the application had in hand.
#[derive(Default)]
struct Seen {
    connections: AtomicU64,
    now: AtomicU64,
    most: AtomicU64,
    /// Time in hand of all requests, in microseconds.
    busy: AtomicU64,
    stop: AtomicBool,
}

impl<'f> Site<'f> {
    fn new(rig: &'f Rig, field: &'f Field, limit: u32) -> Result<Self> {
        let app = Arc::new(Seen::default());
        let listener = field.pod.enter(|| TcpListener::bind(POD))??;
        let of_it = Arc::clone(&app);
        std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if of_it.stop.load(SeqCst) {
                    return;
                }
                let seen = Arc::clone(&of_it);
                seen.connections.fetch_add(1, SeqCst);
                std::thread::spawn(move || drop(serve(stream, &seen)));
            }
        });
        let mut nodes = [
            Node::new(rig, "a", &field.client, ["10.77.1.2"; 3])?,
            Node::new(rig, "b", &field.pod, ["10.77.2.2"; 3])?,
        ];
        for (place, node) in nodes.iter_mut().enumerate() {
            let (own, other) = (GATEWAYS[place], GATEWAYS[1 - place]);
            let (name, peer) = [("a", "b"), ("b", "a")][place];
            node.write(&format!(
                "listen: ['{own}']\nnode: {name}\npeers: [{{name: {peer}, address: '{other}'}}]\n\
                 revisions: {{app: {{container_concurrency: {limit}, pods: [{{address: '{POD}', node: b}}]}}}}\n\
                 routes: [{{hosts: [app.test], to: {{app: 100}}}}]\n"
            ))?;
            node.run(own.parse()?)?;
        }
        Ok(Self {
            field,
            gateway: GATEWAYS[0].parse()?,
            app,
            _nodes: nodes,
        })
    }

    /// A connection to the gateway that is far from the pod.
    fn connect(&self) -> Result<TcpStream> {
        let stream = self.field.client.enter(|| TcpStream::connect(self.gateway))??;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(stream)
    }

    /// A request that is answered at once, for there is room.
    fn is_free(&self, after: &str) -> Result<()> {
        let mut stream = self.connect()?;
        stream.write_all(b"GET /short HTTP/1.1\r\nhost: app.test\r\n\r\n")?;
        until(&mut stream, "short\n").with_context(|| format!("the slot was not free after {after}"))?;
        Ok(())
    }
}

impl Drop for Site<'_> {
    fn drop(&mut self) {
        self.app.stop.store(true, SeqCst);
        let _ = self.field.pod.enter(|| TcpStream::connect(POD));
    }
}

/// Reads until this has come, and returns all of it.
fn until(stream: &mut TcpStream, word: &str) -> Result<String> {
    let (mut all, mut bytes) = (String::new(), [0; 4096]);
    while !all.contains(word) {
        let length = stream
            .read(&mut bytes)
            .with_context(|| format!("waited for {word:?} after {all:?}"))?;
        ensure!(length > 0, "it ended before {word:?}: {all:?}");
        all += &String::from_utf8_lossy(&bytes[..length]);
    }
    Ok(all)
}

/// Counts a request from its head to its answer.
struct InHand<'a>(&'a Seen, Instant);

impl<'a> InHand<'a> {
    fn new(seen: &'a Seen) -> Self {
        let now = seen.now.fetch_add(1, SeqCst) + 1;
        seen.most.fetch_max(now, SeqCst);
        Self(seen, Instant::now())
    }
}

impl Drop for InHand<'_> {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, SeqCst);
        self.0.busy.fetch_add(self.1.elapsed().as_micros() as u64, SeqCst);
    }
}

/// One connection: short answers, and for the rest whatever comes goes back as it is.
fn serve(mut stream: TcpStream, seen: &Seen) -> Result<()> {
    let (mut head, mut bytes) = (Vec::new(), [0; 4096]);
    loop {
        while !head.windows(4).any(|end| end == b"\r\n\r\n") {
            let length = stream.read(&mut bytes)?;
            ensure!(length > 0, "the end");
            head.extend_from_slice(&bytes[..length]);
        }
        let in_hand = InHand::new(seen);
        let text = String::from_utf8_lossy(&head).into_owned();
        let time = [("GET /short ", SHORT), ("GET /work ", WORK)];
        if let Some((_, time)) = time.into_iter().find(|(begin, _)| text.starts_with(begin)) {
            std::thread::sleep(time);
            drop(in_hand);
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nshort\n")?;
            head.clear();
            continue;
        }
        let (_, rest) = text.split_once("\r\n\r\n").unwrap_or_default();
        let is_upgrade = text.starts_with("GET /upgrade ");
        stream.write_all(match is_upgrade {
            true => b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n",
            // Chunks come as chunks, and go back as they are.
            false => b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
        })?;
        let mut said = rest.as_bytes().to_vec();
        stream.write_all(&said)?;
        let mut in_hand = Some(in_hand);
        // The end of chunks is the end of the request; an upgraded connection has none.
        while in_hand.is_some() {
            let length = stream.read(&mut bytes)?;
            if length == 0 {
                return Ok(());
            }
            said.extend_from_slice(&bytes[..length]);
            if !is_upgrade && said.ends_with(b"\r\n0\r\n\r\n") {
                in_hand = None;
            }
            stream.write_all(&bytes[..length])?;
        }
        head.clear();
    }
}

/// With one slot, each shape must give it back.
pub(super) fn carry(rig: &Rig) -> Result<()> {
    let field = rig.field("shapes")?;
    let site = Site::new(rig, &field, 1)?;
    for _ in 0..10 {
        site.is_free("the start")?;
    }
    let connections = site.app.connections.load(SeqCst);
    ensure!(
        connections == 1,
        "ten requests, one after the other: {connections} connections to the pod"
    );

    let mut stream = site.connect()?;
    stream.write_all(b"POST /stream HTTP/1.1\r\nhost: app.test\r\ntransfer-encoding: chunked\r\n\r\n")?;
    for number in 10..40 {
        // Each part is sent when the one before has come back.
        stream.write_all(format!("7\r\npart {number}\r\n").as_bytes())?;
        until(&mut stream, &format!("part {number}\r\n"))?;
    }
    stream.write_all(b"0\r\n\r\n")?;
    until(&mut stream, "0\r\n\r\n")?;
    drop(stream);
    site.is_free("a stream both ways")?;

    let mut stream = site.connect()?;
    stream.write_all(b"GET /upgrade HTTP/1.1\r\nhost: app.test\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n")?;
    ensure!(
        until(&mut stream, "\r\n\r\n")?.starts_with("HTTP/1.1 101 "),
        "no upgrade"
    );
    for number in 10..40 {
        stream.write_all(format!("word {number}").as_bytes())?;
        until(&mut stream, &format!("word {number}"))?;
    }
    drop(stream);
    site.is_free("an upgrade")?;

    for round in 0..10 {
        let mut stream = site.connect()?;
        stream.write_all(b"POST /left HTTP/1.1\r\nhost: app.test\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n")?;
        if round % 2 == 0 {
            until(&mut stream, "1\r\nx\r\n")?;
        }
        drop(stream);
        site.is_free("a client that left")?;
    }
    ensure!(site.app.most.load(SeqCst) == 1, "more than one at a time");
    Ok(())
}

/// While there is a queue the pod is kept busy to its limit.
pub(super) fn are_used(rig: &Rig) -> Result<()> {
    const LIMIT: u32 = 5;
    let field = rig.field("used")?;
    let site = Site::new(rig, &field, LIMIT)?;
    site.is_free("the start")?;
    let clients: Result<Vec<_>> = (0..LIMIT * 4).map(|_| site.connect()).collect();
    let (begun, before) = (Instant::now(), site.app.busy.load(SeqCst));
    std::thread::scope(|scope| {
        let asking = clients?.into_iter().map(|mut stream| {
            scope.spawn(move || {
                for _ in 0..5 {
                    stream.write_all(b"GET /work HTTP/1.1\r\nhost: app.test\r\n\r\n")?;
                    until(&mut stream, "short\n")?;
                }
                Ok::<_, anyhow::Error>(())
            })
        });
        let asking: Vec<_> = asking.collect();
        asking.into_iter().try_for_each(|client| match client.join() {
            Ok(done) => done,
            Err(_) => Err(anyhow::anyhow!("a client panicked")),
        })
    })?;
    let busy = (site.app.busy.load(SeqCst) - before) as f64 / begun.elapsed().as_micros() as f64;
    let most = site.app.most.load(SeqCst);
    ensure!(
        most == u64::from(LIMIT),
        "the application saw {most} at once, of {LIMIT}"
    );
    ensure!(
        busy > 0.6 * f64::from(LIMIT),
        "{busy:.1} of {LIMIT} were in use while others waited"
    );
    println!("{busy:.2} of {LIMIT} in use");
    Ok(())
}
