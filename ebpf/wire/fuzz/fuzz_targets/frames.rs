// SPDX-License-Identifier: Apache-2.0
//! HTTP/2 frames of both ends: a slow reader of whole frames counts the same.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let (cuts, bytes) = wire_fuzz::split(data);
    let (client, server) = wire_fuzz::halves(bytes);
    wire_fuzz::reference::frames(client, server, cuts);
});
