// SPDX-License-Identifier: Apache-2.0
//! Text of the data as bytes, and back: character U+00NN is the byte NN.
//!
//! Depends on: nothing.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// Longer values are told by their digest.
const SHOWN: usize = 2048;

/// The bytes of a text, a repeated text, or a list of these.
pub(super) fn bytes(value: &Value) -> Vec<u8> {
    match value {
        Value::String(text) => text
            .chars()
            .map(|char| u8::try_from(u32::from(char)).unwrap_or(b'?'))
            .collect(),
        Value::Array(parts) => parts.iter().flat_map(bytes).collect(),
        Value::Object(repeated) => {
            let count = repeated.get("count").and_then(Value::as_u64).unwrap_or(1);
            bytes(repeated.get("repeat").unwrap_or(&Value::Null)).repeat(usize::try_from(count).unwrap_or(0))
        }
        _ => Vec::new(),
    }
}

/// Bytes as text.
pub(super) fn text(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

/// Bytes as the data tell them.
pub(super) fn told(bytes: &[u8]) -> Value {
    if bytes.len() <= SHOWN {
        return text(bytes).into();
    }
    let digest: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    json!({"length": bytes.len(), "sha256": digest})
}
