// SPDX-License-Identifier: Apache-2.0
//! Segments in any order, repeated, early, seen by the stack only: zero in flight after the close.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    wire_fuzz::reference::chaos(data);
});
