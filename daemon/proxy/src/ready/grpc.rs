// SPDX-License-Identifier: Apache-2.0
//! The health check of gRPC, `grpc.health.v1.Health/Check`, in plain HTTP/2.
//!
//! Mechanism: one request with a message of one field, one answer with a message of one field: no protobuf library for that.
//! Depends on: h2.

use bytes::Bytes;
use h2::client::SendRequest;
use http::{HeaderValue, Method, Request, StatusCode, Version, header};
use std::io;
use tokio::net::TcpStream;

/// `ServingStatus.SERVING`.
const SERVING: u64 = 1;
/// As much of an answer as is looked at.
const MOST: usize = 4096;

/// Whether the service says that it serves; empty: the server as a whole.
pub(super) async fn is_serving(address: &str, service: &str) -> io::Result<bool> {
    let stream = TcpStream::connect(address).await?;
    let (sender, connection) = h2::client::handshake(stream).await.map_err(io::Error::other)?;
    tokio::select! {
        biased;
        answer = ask(sender, address, service) => answer.map_err(io::Error::other),
        _ = connection => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

async fn ask(sender: SendRequest<Bytes>, address: &str, service: &str) -> Result<bool, h2::Error> {
    let mut sender = sender.ready().await?;
    let mut request = Request::new(());
    *request.method_mut() = Method::POST;
    *request.version_mut() = Version::HTTP_2;
    let uri = format!("http://{address}/grpc.health.v1.Health/Check");
    let Ok(uri) = uri.parse() else {
        return Ok(false);
    };
    *request.uri_mut() = uri;
    let headers = request.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(header::TE, HeaderValue::from_static("trailers"));
    headers.insert(header::USER_AGENT, HeaderValue::from_static("kube-probe//"));
    let (answer, mut body) = sender.send_request(request, false)?;
    body.send_data(question(service), true)?;
    let (head, mut body) = answer.await?.into_parts();
    let mut got = Vec::new();
    while let Some(data) = body.data().await {
        got.extend_from_slice(&data?);
        if got.len() > MOST {
            return Ok(false);
        }
    }
    let trailers = body.trailers().await?;
    let status = trailers.as_ref().and_then(|trailers| trailers.get("grpc-status"));
    let is_fine = head.status == StatusCode::OK && status.is_some_and(|status| status == "0");
    Ok(is_fine && said(&got) == Some(SERVING))
}

/// A message with its frame: not compressed, its length, field 1 with the name.
fn question(service: &str) -> Bytes {
    let mut message = Vec::new();
    if !service.is_empty() {
        message.push(0x0a);
        let mut length = service.len();
        while length >= 0x80 {
            message.push((length & 0x7f) as u8 | 0x80);
            length >>= 7;
        }
        message.push(length as u8);
        message.extend_from_slice(service.as_bytes());
    }
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    let mut framed = vec![0];
    framed.extend_from_slice(&length.to_be_bytes());
    framed.extend_from_slice(&message);
    framed.into()
}

/// Field 1 of a message in its frame; 0 if it is left out, `None` if this is no such message.
fn said(framed: &[u8]) -> Option<u64> {
    let (head, mut rest) = framed.split_at_checked(5)?;
    let length = u32::from_be_bytes(head.get(1..)?.try_into().ok()?);
    if head.first() != Some(&0) || usize::try_from(length).ok()? != rest.len() {
        return None;
    }
    let mut status = 0;
    while !rest.is_empty() {
        let tag = varint(&mut rest)?;
        match (tag >> 3, tag & 7) {
            (1, 0) => status = varint(&mut rest)?,
            (_, 0) => drop(varint(&mut rest)?),
            (_, 1) => rest = rest.get(8..)?,
            (_, 2) => {
                let length = usize::try_from(varint(&mut rest)?).ok()?;
                rest = rest.get(length..)?;
            }
            (_, 5) => rest = rest.get(4..)?,
            _ => return None,
        }
    }
    Some(status)
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_names_the_service() {
        assert_eq!(&question("")[..], b"\0\0\0\0\0");
        assert_eq!(&question("a.B")[..], b"\0\0\0\0\x05\x0a\x03a.B");
        let long = "s".repeat(300);
        assert_eq!(&question(&long)[..8], b"\0\0\0\x01\x2f\x0a\xac\x02");
    }

    #[test]
    fn only_field_one_counts_and_nothing_panics() {
        assert_eq!(said(b"\0\0\0\0\x02\x08\x01"), Some(1));
        assert_eq!(said(b"\0\0\0\0\0"), Some(0));
        assert_eq!(said(b"\0\0\0\0\x07\x12\x01x\x10\x05\x08\x02"), Some(2));
        for bad in [
            &b""[..],
            b"\0\0\0\0\x02\x08",
            b"\x01\0\0\0\x02\x08\x01",
            b"\0\0\0\0\x02\x0b\x01",
        ] {
            assert_eq!(said(bad), None, "{bad:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(message in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..40)) {
            let mut framed = vec![0];
            framed.extend_from_slice(&(message.len() as u32).to_be_bytes());
            framed.extend_from_slice(&message);
            let _ = said(&framed);
        }
    }
}
