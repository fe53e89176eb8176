// SPDX-License-Identifier: Apache-2.0
//! How clients come in: TLS, redirects, visibility, HTTP/2, CONNECT, targets, traces; over sockets, with clients that are not ours.
#![expect(clippy::unwrap_used, reason = "in a test this is how it fails")]

mod bounds;
mod connect;
mod daemons;
mod farewell;
mod https;
mod ingress;
mod leaving;
mod like_go;
mod origin;
mod peers;
mod ready;
mod rig;
mod targets;
mod traced;
mod two;
mod unread;
mod until_close;
