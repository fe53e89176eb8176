// SPDX-License-Identifier: Apache-2.0
//! The name of a template: a hash in letters that make no words.
//!
//! Depends on: nothing.

use serde_json::Value;

const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

/// The hash of a template after so many collisions.
pub(super) fn of(template: &Value, collisions: i64) -> String {
    // FNV-1a over the canonical text: keys of objects are in order.
    let text = format!("{template}/{collisions}");
    let hash = text.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    let digits = hash.to_string();
    digits
        .bytes()
        .filter_map(|digit| {
            LETTERS
                .get(usize::from(digit) % LETTERS.len())
                .map(|&letter| char::from(letter))
        })
        .collect()
}
