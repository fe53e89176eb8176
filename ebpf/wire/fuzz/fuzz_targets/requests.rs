// SPDX-License-Identifier: Apache-2.0
//! A client's bytes: hyper's server and httparse read the same.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let (cuts, bytes) = wire_fuzz::split(data);
    let bytes = &wire_fuzz::expand(bytes);
    wire_fuzz::reference::heads(bytes);
    wire_fuzz::reference::requests(bytes, cuts);
});
