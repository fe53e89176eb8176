// SPDX-License-Identifier: Apache-2.0
//! A server's bytes: hyper's client reads the same.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let (cuts, bytes) = wire_fuzz::split(data);
    let bytes = &wire_fuzz::expand(bytes);
    let heads = cuts.first().copied().unwrap_or(0);
    wire_fuzz::reference::responses(bytes, heads, cuts);
});
