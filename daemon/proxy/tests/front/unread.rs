// SPDX-License-Identifier: Apache-2.0
//! Clients and pods that do not read what they are sent, and who asks beside them.

use crate::rig::{Said, ask, get, serving};
use life::Tasks;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, sleep, timeout};

/// More than what windows of a connection have room for, if one stream's were a fourth of it.
pub(crate) const STUCK: usize = 5;
/// What takes this long does not come any more.
const NEVER: Duration = Duration::from_secs(15);

/// A pod of HTTP/1.1 that says `ok`; on `/endless` it says something for ever, and of `/deaf` it reads no body.
pub(crate) async fn pod(tasks: &Tasks) -> SocketAddr {
    serving(tasks, converse).await
}

async fn converse(mut stream: TcpStream) {
    let mut byte = [0];
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            // A body is not looked for.
            if !matches!(stream.read(&mut byte).await, Ok(1)) {
                return;
            }
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap();
        let path = head.split(' ').nth(1).unwrap_or_default();
        let answer = match path {
            "/endless" => "HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n",
            "/deaf" => return std::future::pending().await,
            _ => "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        };
        let mut is_read = stream.write_all(answer.as_bytes()).await.is_ok();
        while path == "/endless" && is_read {
            is_read = stream.write_all(&[b'x'; 65_536]).await.is_ok();
        }
    }
}

/// Clients that ask for what never ends, and read no more than that there is an answer.
pub(crate) async fn downloads(gateway: SocketAddr) -> Vec<TcpStream> {
    let mut stuck = Vec::new();
    for _ in 0..STUCK {
        let mut client = narrow(gateway).await;
        let request = b"GET /endless HTTP/1.1\r\nHost: app.example.com\r\n\r\n";
        client.write_all(request).await.unwrap();
        let mut head = [0; 15];
        timeout(NEVER, client.read_exact(&mut head)).await.unwrap().unwrap();
        assert_eq!(&head, b"HTTP/1.1 200 OK");
        stuck.push(client);
    }
    stuck
}

/// Clients that send what never ends to a pod that does not read it.
pub(crate) async fn uploads(gateway: SocketAddr, tasks: &Tasks) {
    for _ in 0..STUCK {
        let mut client = narrow(gateway).await;
        let request = b"POST /deaf HTTP/1.1\r\nHost: app.example.com\r\nContent-Length: 1000000000000\r\n\r\n";
        client.write_all(request).await.unwrap();
        tasks.spawn("upload", async move {
            while client.write_all(&[b'x'; 65_536]).await.is_ok() {}
        });
    }
}

/// Sockets that hold little, so that what is stuck is stuck soon.
async fn narrow(gateway: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(8 << 10).unwrap();
    socket.connect(gateway).await.unwrap()
}

/// Asks one time after the other, for so long: each has its answer.
pub(crate) async fn others_are_answered(gateway: SocketAddr, meanwhile: Duration) {
    let begun = Instant::now();
    while begun.elapsed() < meanwhile {
        let Said { status, body, .. } = timeout(NEVER, ask(gateway, get("/"))).await.unwrap();
        assert_eq!((status, body.as_str()), (200, "ok"), "after {:?}", begun.elapsed());
        sleep(Duration::from_millis(20)).await;
    }
}

/// What was stuck goes on when it is read again, far beyond what lies in buffers on the way.
pub(crate) async fn go_on(stuck: Vec<TcpStream>) {
    for mut client in stuck {
        let mut rest = vec![0; 1 << 20];
        for _ in 0..16 {
            timeout(NEVER, client.read_exact(&mut rest)).await.unwrap().unwrap();
        }
    }
}
