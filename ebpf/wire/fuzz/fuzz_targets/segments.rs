// SPDX-License-Identifier: Apache-2.0
//! Any segmentation of both streams tells the same events as one segment.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let (cuts, bytes) = wire_fuzz::split(data);
    let (client, server) = wire_fuzz::halves(bytes);
    wire_fuzz::reference::segmentation(&wire_fuzz::expand(client), &wire_fuzz::expand(server), cuts);
});
