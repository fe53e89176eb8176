// SPDX-License-Identifier: Apache-2.0
//! HTTP/2 with prior knowledge: every stream is counted exactly.

mod byhand;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use h2::client::SendRequest;
use http::{HeaderMap, HeaderValue, Request};
use std::time::Instant;
use tests::client::Clock;
use tests::scene::Scene;
use tests::suite::{Case, case};
use tests::truth::{Protocol, Server};
use tokio::net::TcpStream;
use tokio::task::{JoinHandle, JoinSet};

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = vec![
        case("http2::serial_streams_are_counted_one_by_one", |scene| {
            serial(scene, Protocol::H2, 300)
        }),
        case("http2::hyper_server_and_kernel_agree", |scene| {
            serial(scene, Protocol::Hyper2, 100)
        }),
        case("http2::multiplexed_streams_are_in_flight_together", multiplexed),
        case("http2::more_streams_than_slots_are_flagged_or_exact", overflow),
        case("http2::request_bodies_and_trailers_end_streams", bodies),
        case("http2::trailers_end_answers", trailers),
        case("http2::answers_of_one_megabyte_are_one_stream_each", large),
        case("http2::a_client_reset_ends_the_stream", client_reset),
        case("http2::a_server_reset_ends_the_stream", server_reset),
        case("http2::goaway_leaves_nothing_in_flight", goaway),
        case("http2::a_connection_reset_ends_all_its_streams", connection_reset),
        case("http2::an_early_answer_ends_with_the_requests_body", early),
    ];
    cases.extend(byhand::cases());
    cases
}

/// A connection of the h2 crate.
pub(crate) struct Client {
    pub(crate) send: SendRequest<Bytes>,
    driver: JoinHandle<()>,
}

impl Client {
    pub(crate) async fn connect(address: std::net::SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (send, connection) = h2::client::Builder::new()
            .initial_window_size(1 << 20)
            .initial_connection_window_size(8 << 20)
            .handshake(stream)
            .await?;
        let driver = tokio::spawn(async move {
            let _ = connection.await;
        });
        Ok(Self {
            send: send.ready().await?,
            driver,
        })
    }

    /// One whole exchange; the body's size and whether trailers came.
    pub(crate) async fn exchange(
        mut send: SendRequest<Bytes>,
        clock: Clock,
        path: &str,
        body: usize,
    ) -> Result<(usize, bool)> {
        send = send.ready().await?;
        let began = Instant::now();
        let (answer, mut stream) = send.send_request(request(path, body > 0), body == 0)?;
        if body > 0 {
            let mut left = body;
            while left > 0 {
                stream.reserve_capacity(left);
                let room = std::future::poll_fn(|context| stream.poll_capacity(context))
                    .await
                    .context("capacity")??;
                let part = room.min(left);
                left -= part;
                stream.send_data(Bytes::from(vec![b'G'; part]), false)?;
            }
            let mut trailers = HeaderMap::new();
            trailers.insert("x-trailer", HeaderValue::from_static("GET / HTTP/1.1"));
            stream.send_trailers(trailers)?;
        }
        let mut body = answer.await?.into_body();
        let mut size = 0;
        while let Some(data) = body.data().await {
            let data = data?;
            size += data.len();
            body.flow_control().release_capacity(data.len())?;
        }
        let trailers = body.trailers().await?.is_some();
        clock.add(began.elapsed());
        Ok((size, trailers))
    }

    /// Ends politely: no more streams, then the connection closes by itself.
    pub(crate) async fn close(self) {
        drop(self.send);
        let _ = self.driver.await;
    }

    /// Drops the socket in the middle of whatever happens.
    fn abandon(self) {
        self.driver.abort();
    }
}

fn request(path: &str, has_body: bool) -> Request<()> {
    let method = if has_body { "POST" } else { "GET" };
    let mut request = Request::new(());
    *request.method_mut() = method.parse().unwrap_or_default();
    *request.uri_mut() = format!("http://pod{path}").parse().unwrap_or_default();
    request
}

fn serial(scene: &mut Scene<'_>, protocol: Protocol, count: u64) -> Result<()> {
    scene.serve(Server::of(protocol))?;
    scene.client(async |address, clock| {
        let client = Client::connect(address).await?;
        for _ in 0..count {
            Client::exchange(client.send.clone(), clock.clone(), "/", 0).await?;
        }
        client.close().await;
        Ok(())
    })?;
    scene.exact(count)
}

/// So many streams of one connection at once.
async fn together(client: &Client, clock: &Clock, count: usize, path: &'static str, body: usize) -> Result<()> {
    let mut streams = JoinSet::new();
    for _ in 0..count {
        let (send, clock) = (client.send.clone(), clock.clone());
        streams.spawn(async move { Client::exchange(send, clock, path, body).await.map(drop) });
    }
    streams.join_all().await.into_iter().collect()
}

fn multiplexed(scene: &mut Scene<'_>) -> Result<()> {
    scene.serve(Server::of(Protocol::H2))?;
    scene.client(async |address, clock| {
        let mut clients = JoinSet::new();
        for _ in 0..5 {
            let clock = clock.clone();
            clients.spawn(async move {
                let client = Client::connect(address).await?;
                together(&client, &clock, 100, "/sleep/100", 0).await?;
                client.close().await;
                Ok(())
            });
        }
        clients.join_all().await.into_iter().collect::<Result<()>>()
    })?;
    scene.exact(500)
}

/// 128 slots a connection: beyond them totals must still balance, and the connection is flagged if they cannot be right.
fn overflow(scene: &mut Scene<'_>) -> Result<()> {
    scene.serve(Server::of(Protocol::H2))?;
    scene.client(async |address, clock| {
        let client = Client::connect(address).await?;
        together(&client, clock, 400, "/sleep/200", 0).await?;
        client.close().await;
        Ok(())
    })?;
    let rest = scene.balanced()?;
    ensure!(rest.truth.maximum > 128, "the case itself: {:?}", rest.truth);
    ensure!(
        rest.counted.started == 400 || rest.counted.uncertain == 1,
        "silently different: {rest:?}"
    );
    Ok(())
}

fn bodies(scene: &mut Scene<'_>) -> Result<()> {
    scene.serve(Server::of(Protocol::H2))?;
    scene.client(async |address, clock| {
        let client = Client::connect(address).await?;
        for body in [1, 100, 16_384, 16_385, 300_000] {
            Client::exchange(client.send.clone(), clock.clone(), "/", body).await?;
        }
        together(&client, clock, 15, "/sleep/5", 40_000).await?;
        client.close().await;
        Ok(())
    })?;
    scene.exact(20)
}

fn trailers(scene: &mut Scene<'_>) -> Result<()> {
    scene.serve(Server::of(Protocol::H2))?;
    scene.client(async |address, clock| {
        let client = Client::connect(address).await?;
        for path in ["/trailers/1", "/trailers/5000", "/trailers/100000"] {
            let (_, came) = Client::exchange(client.send.clone(), clock.clone(), path, 0).await?;
            ensure!(came, "the case itself: no trailers");
        }
        client.close().await;
        Ok(())
    })?;
    scene.exact(3)
}

fn large(scene: &mut Scene<'_>) -> Result<()> {
    scene.serve(Server::of(Protocol::H2))?;
    scene.client(async |address, clock| {
        let client = Client::connect(address).await?;
        together(&client, clock, 10, "/bytes/1048576", 0).await?;
        client.close().await;
        Ok(())
    })?;
    scene.exact(10)
}

fn client_reset(scene: &mut Scene<'_>) -> Result<()> {
    scene.serve(Server::of(Protocol::H2))?;
    scene.client(async |address, clock| {
        let client = Client::connect(address).await?;
        let mut send = client.send.clone();
        for number in 1..=20 {
            send = send.ready().await?;
            let (answer, mut stream) = send.send_request(request("/sleep/60000", false), true)?;
            seen(scene, number).await?;
            stream.send_reset(h2::Reason::CANCEL);
            drop(answer);
        }
        Client::exchange(client.send.clone(), clock.clone(), "/", 0).await?;
        drop(send);
        client.close().await;
        Ok(())
    })?;
    scene.exact(21)
}

/// Waits until the application saw so many streams, while the connection goes on.
async fn seen(scene: &Scene<'_>, streams: u64) -> Result<()> {
    while scene.truth()?.started < streams {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    Ok(())
}

fn server_reset(scene: &mut Scene<'_>) -> Result<()> {
    scene.serve(Server::of(Protocol::H2))?;
    scene.client(async |address, clock| {
        let client = Client::connect(address).await?;
        for path in ["/reset", "/half-reset/5000", "/reset", "/half-reset/1"] {
            let answer = Client::exchange(client.send.clone(), clock.clone(), path, 0).await;
            ensure!(answer.is_err(), "the case itself: no reset");
        }
        client.close().await;
        Ok(())
    })?;
    scene.exact(4)
}

fn goaway(scene: &mut Scene<'_>) -> Result<()> {
    scene.serve(Server::of(Protocol::H2))?;
    scene.client(async |address, clock| {
        for _ in 0..3 {
            let client = Client::connect(address).await?;
            let slow = tokio::spawn({
                let (send, clock) = (client.send.clone(), clock.clone());
                async move { Client::exchange(send, clock, "/sleep/50", 0).await }
            });
            tokio::task::yield_now().await;
            Client::exchange(client.send.clone(), clock.clone(), "/goaway", 0).await?;
            slow.await??;
            client.close().await;
        }
        Ok(())
    })?;
    scene.exact(6)
}

fn connection_reset(scene: &mut Scene<'_>) -> Result<()> {
    scene.serve(Server::of(Protocol::H2))?;
    scene.client(async |address, _| {
        for round in 1..=3 {
            let client = Client::connect(address).await?;
            let mut streams = Vec::new();
            let mut send = client.send.clone();
            for _ in 0..20 {
                send = send.ready().await?;
                streams.push(send.send_request(request("/sleep/60000", false), true)?);
            }
            seen(scene, round * 20).await?;
            client.abandon();
        }
        Ok(())
    })?;
    scene.exact(60)
}

fn early(scene: &mut Scene<'_>) -> Result<()> {
    scene.serve(Server::of(Protocol::H2))?;
    scene.client(async |address, _| {
        let client = Client::connect(address).await?;
        let mut send = client.send.clone();
        for _ in 0..5 {
            send = send.ready().await?;
            let (answer, mut stream) = send.send_request(request("/early", true), false)?;
            answer.await?;
            stream.send_data(Bytes::from_static(b"late body"), true)?;
        }
        // A ping's round trip: the last frames have left.
        drop(send);
        client.close().await;
        Ok(())
    })?;
    scene.exact(5)
}
