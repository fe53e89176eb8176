// SPDX-License-Identifier: Apache-2.0
//! gRPC's health check, by hand: one unary call with two tiny messages.
//!
//! Source: grpc/health/v1/health.proto; the protocol over HTTP/2 of grpc.io.
//! Depends on: hyper.

use bytes::{BufMut as _, Bytes, BytesMut};
use http::{Request, Version};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

/// The answer has a few bytes.
const LARGEST: usize = 4096;
const SERVING: u8 = 1;

/// Whether the service serves.
pub(super) async fn check(stream: TcpStream, service: &str, agent: &'static str) -> Result<(), String> {
    let said = |error: &dyn std::fmt::Display| format!("error: health rpc probe failed: {error}");
    let authority = stream.peer_addr().map_err(|error| said(&error))?;
    let shake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
    let (mut sender, connection) = shake.map_err(|error| said(&error))?;
    let request = Request::post(format!("http://{authority}/grpc.health.v1.Health/Check"))
        .version(Version::HTTP_2)
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("user-agent", agent)
        .body(Full::new(question(service)))
        .map_err(|error| said(&error))?;
    let answer = async {
        let answer = sender.send_request(request).await.map_err(|error| said(&error))?;
        let status = answer.headers().get("grpc-status").cloned();
        let body = Limited::new(answer.into_body(), LARGEST)
            .collect()
            .await
            .map_err(|error| said(&error))?;
        let status = status.or_else(|| body.trailers()?.get("grpc-status").cloned());
        match status.as_ref().map_or("", |status| status.to_str().unwrap_or_default()) {
            "0" => serves(&body.to_bytes()),
            "12" => Err("this server does not implement the grpc health protocol (grpc.health.v1.Health)".to_owned()),
            other => Err(said(&format!("rpc error: code = {other}"))),
        }
    };
    tokio::pin!(answer);
    tokio::select! {
        biased;
        answer = &mut answer => answer,
        // It may have brought the answer with its last breath.
        _ = connection => answer.await,
    }
}

/// `HealthCheckRequest { service: 1 }` behind the prefix of a message.
fn question(service: &str) -> Bytes {
    let mut message = BytesMut::new();
    if !service.is_empty() {
        message.put_u8(0x0a);
        let mut length = service.len();
        while length > 0x7f {
            // The low seven bits, and that more follow: cut as meant.
            message.put_u8((length & 0x7f) as u8 | 0x80);
            length >>= 7;
        }
        message.put_u8(length as u8);
        message.put_slice(service.as_bytes());
    }
    let mut bytes = BytesMut::new();
    bytes.put_u8(0);
    bytes.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    bytes.put_slice(&message);
    bytes.freeze()
}

/// `HealthCheckResponse { status: 1 }` behind the prefix of a message.
fn serves(bytes: &[u8]) -> Result<(), String> {
    match bytes.get(5..) {
        Some([0x08, SERVING, ..]) => Ok(()),
        Some([0x08, other, ..]) => Err(format!("service unhealthy (responded with status {other})")),
        _ => Err("service unhealthy (responded with status 0)".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_has_the_whole_name_however_long() {
        assert_eq!(question("").as_ref(), [0; 5]);
        assert_eq!(question("shop").as_ref(), b"\0\0\0\0\x06\x0a\x04shop");
        let long = "x".repeat(300);
        let asked = question(&long);
        assert_eq!(asked.get(..8), Some([0, 0, 0, 1, 0x2f, 0x0a, 0xac, 0x02].as_slice()));
        assert_eq!(asked.get(8..), Some(long.as_bytes()));
    }
}
