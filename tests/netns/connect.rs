// SPDX-License-Identifier: Apache-2.0
//! Ways to come into being as a connection: families, sockets, handshakes, crowds.

use std::io::ErrorKind;
use std::net::{Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, Socket, Type};
use tests::client::{Frames, Http1, frames, get};
use tests::rig::POD_PORT;
use tests::scene::Scene;
use tests::suite::{Case, case, is_long};
use tests::truth::{Bind, Protocol, Server};
use tokio::net::{TcpSocket, TcpStream};

use crate::http1::connections;

/// How long a port may stay taken.
const LIMIT: Duration = Duration::from_secs(60);

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case("connect::first_bytes_in_many_segments_are_exact", first_bytes),
        case("connect::first_bytes_of_http2_in_many_segments_are_exact", first_frames),
        case("connect::ipv6_is_counted_like_ipv4", ipv6),
        case("connect::both_families_on_a_dual_stack_socket_are_counted", dual),
        case("connect::thousands_of_connections_at_once_are_exact", thousands),
        case("connect::a_request_inside_the_syn_is_counted", fast_open),
        case("connect::a_request_inside_the_syn_over_ipv6_is_counted", fast_open6),
        case("connect::a_non_blocking_connect_is_counted", non_blocking),
        case("connect::udp_to_the_same_port_is_untouched", udp),
        case("connect::connections_from_inside_the_pod_are_counted", from_inside),
        case("connect::a_connect_to_a_closed_port_counts_nothing", refused),
        case(
            "connect::a_connection_reset_before_its_first_byte_counts_nothing",
            reset_at_once,
        ),
        case("connect::a_bound_source_port_used_again_is_a_new_connection", same_port),
    ]
}

fn ipv6(scene: &mut Scene<'_>) -> Result<()> {
    scene.serve(Server::of(Protocol::Raw).bind(Bind::V6))?;
    scene.client_at(scene.address6(), async |address, clock| {
        let mut client = Http1::connect(address, clock).await?;
        for path in [
            "/",
            "/bytes/100000",
            "/chunked/5000/100",
            "/sleep/10",
            "/huge-head/5000",
        ] {
            client.exchange(get(path)).await?;
        }
        client
            .send_split("POST / HTTP/1.1\r\ncontent-length: 4\r\n\r\nGET ", 1)
            .await?;
        client.reply(false).await?;
        Ok(())
    })?;
    scene.exact(6)
}

fn dual(scene: &mut Scene<'_>) -> Result<()> {
    scene.serve(Server::of(Protocol::Raw).bind(Bind::Dual))?;
    for address in [scene.address(), scene.address6()] {
        scene.client_at(address, async |address, clock| {
            for _ in 0..5 {
                let mut client = Http1::connect(address, clock).await?;
                client.exchange(get("/")).await?;
                client.exchange(get("/chunked/100/7")).await?;
            }
            Ok(())
        })?;
    }
    scene.exact(20)
}

fn thousands(scene: &mut Scene<'_>) -> Result<()> {
    let count = if is_long() { 10_000 } else { 2_000 };
    raise_file_limit()?;
    scene.serve(Server::of(Protocol::Raw))?;
    connections(scene, count, vec![get("/sleep/200"), get("/"), get("/bytes/2000")])?;
    scene.exact(count as u64 * 3)
}

fn raise_file_limit() -> Result<()> {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    Ok(setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?)
}

fn fast_open(scene: &mut Scene<'_>) -> Result<()> {
    let address = scene.address();
    in_the_syn(scene, Bind::V4, address)
}

fn fast_open6(scene: &mut Scene<'_>) -> Result<()> {
    let address = scene.address6();
    in_the_syn(scene, Bind::V6, address)
}

/// TCP Fast Open without cookies on both sides: the request travels in the SYN.
fn in_the_syn(scene: &mut Scene<'_>, bind: Bind, address: SocketAddr) -> Result<()> {
    // Client and server on, no cookie needed either way, all listeners.
    scene.field.pod.sysctl("ipv4/tcp_fastopen", "1543")?;
    scene.field.client.sysctl("ipv4/tcp_fastopen", "1543")?;
    scene.serve(Server::of(Protocol::Raw).bind(bind))?;
    scene.client_at(address, async |address, clock| {
        for round in 0..10 {
            let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
            setsockopt(&socket.as_fd(), sockopt::TcpFastOpenConnect, &true)?;
            socket.set_nonblocking(true)?;
            // Returns at once: the SYN waits for the first write.
            socket.connect(&address.into())?;
            let stream = TcpStream::from_std(socket.into())?;
            let mut client = Http1::over(stream, clock)?;
            client
                .exchange(get(if round % 2 == 0 { "/" } else { "/bytes/50000" }))
                .await?;
            client.exchange(get("/")).await?;
        }
        Ok(())
    })?;
    let passive = scene.field.pod.tcp("TCPFastOpenPassive")?;
    // A SYN whose answer is late goes once more, without its data (RFC 7413, 4.1.3).
    ensure!(
        (6..=10).contains(&passive),
        "the case itself: {passive} connections came with data in the SYN"
    );
    scene.exact(20)
}

fn non_blocking(scene: &mut Scene<'_>) -> Result<()> {
    scene.serve(Server::of(Protocol::Raw))?;
    scene.client(async |address, clock| {
        for _ in 0..5 {
            let socket = TcpSocket::new_v4()?;
            let stream = socket.connect(address).await?;
            let mut client = Http1::over(stream, clock)?;
            client.exchange(get("/")).await?;
        }
        Ok(())
    })?;
    scene.exact(5)
}

fn udp(scene: &mut Scene<'_>) -> Result<()> {
    scene.serve(Server::of(Protocol::Raw))?;
    let server = scene.field.pod.enter(|| UdpSocket::bind(("0.0.0.0", POD_PORT)))??;
    let client = scene.field.client.enter(|| UdpSocket::bind("0.0.0.0:0"))??;
    server.set_read_timeout(Some(Duration::from_secs(30)))?;
    client.set_read_timeout(Some(Duration::from_secs(30)))?;
    let mut buffer = [0; 2000];
    for _ in 0..20 {
        client.send_to(get("/").as_bytes(), scene.address())?;
        let (size, from) = server.recv_from(&mut buffer)?;
        server.send_to(&buffer[..size], from)?;
        ensure!(client.recv(&mut buffer)? == size, "the datagram changed");
    }
    scene.exact(0)
}

fn from_inside(scene: &mut Scene<'_>) -> Result<()> {
    scene.serve(Server::of(Protocol::Raw).bind(Bind::Dual))?;
    let local: SocketAddr = (Ipv6Addr::LOCALHOST, POD_PORT).into();
    let clock = scene.clock();
    scene.field.pod.block_on(Duration::from_secs(60), async move || {
        for address in [local, ([127, 0, 0, 1], POD_PORT).into()] {
            let mut client = Http1::connect(address, clock).await?;
            client.exchange(get("/")).await?;
            client.exchange(get("/bytes/200000")).await?;
        }
        Ok(())
    })?;
    scene.exact(4)
}

fn refused(scene: &mut Scene<'_>) -> Result<()> {
    scene.client(async |address, _| {
        ensure!(
            TcpStream::connect(address).await.is_err(),
            "the case itself: somebody listens"
        );
        Ok(())
    })?;
    scene.exact(0)
}

fn reset_at_once(scene: &mut Scene<'_>) -> Result<()> {
    scene.serve(Server::of(Protocol::Raw))?;
    scene.client(async |address, clock| {
        for _ in 0..20 {
            Http1::connect(address, clock).await?.reset()?;
        }
        Ok(())
    })?;
    let rest = scene.balanced()?;
    ensure!(rest.counted.started == 0, "a request was counted");
    Ok(())
}

/// The same four-tuple again, right after a reset: state must not be inherited.
fn same_port(scene: &mut Scene<'_>) -> Result<()> {
    scene.serve(Server::of(Protocol::Raw))?;
    scene.client(async |address, clock| {
        for number in 1..=10 {
            let mut client = Http1::over(from_same_port(address).await?, clock)?;
            client.exchange(get("/")).await?;
            client.write(get("/sleep/60000")).await?;
            scene.started(number * 2)?;
            client.reset()?;
        }
        Ok(())
    })?;
    scene.exact(20)
}

/// The connection before may still be there: a process that another case starts has a copy of its socket for a moment.
async fn from_same_port(address: SocketAddr) -> Result<TcpStream> {
    let begun = Instant::now();
    loop {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind(([0, 0, 0, 0], 34_567).into())?;
        match socket.connect(address).await {
            Err(error) if error.kind() == ErrorKind::AddrNotAvailable && begun.elapsed() < LIMIT => {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            connected => return Ok(connected?),
        }
    }
}

/// Many connections whose first bytes come in small segments right behind the handshake, which another CPU may still be
/// busy with.
fn first_bytes(scene: &mut Scene<'_>) -> Result<()> {
    scene.serve(Server::of(Protocol::Raw))?;
    scene.client(async |address, clock| {
        for _ in 0..400 {
            let mut client = Http1::connect(address, clock).await?;
            client.send_split(get("/"), 2).await?;
            client.reply(false).await?;
        }
        Ok(())
    })?;
    scene.exact(400)
}

fn first_frames(scene: &mut Scene<'_>) -> Result<()> {
    scene.serve(Server::of(Protocol::H2))?;
    scene.client(async |address, _| {
        for _ in 0..200 {
            let mut client = Frames::connect(address, 3).await?;
            client.write(&frames::get(1, "/")).await?;
            client.ended(1).await?;
            client.write(&frames::frame(frames::GOAWAY, 0, 0, &[0; 8])).await?;
            client.rest().await;
        }
        Ok(())
    })?;
    scene.exact(200)
}
