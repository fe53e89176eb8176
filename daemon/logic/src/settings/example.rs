// SPDX-License-Identifier: Apache-2.0
//! `_example`: the documentation inside a ConfigMap, which nobody should edit.
//!
//! Problem: people change a setting inside `_example`, where it does nothing.
//! Mechanism: an annotation holds the checksum of the text as it was shipped.
//! Depends on: nothing.

/// The key of the documentation.
pub const EXAMPLE: &str = "_example";
/// The annotation with its checksum.
pub const CHECKSUM_ANNOTATION: &str = "knative.dev/example-checksum";

/// The checksum of a documentation: CRC-32 over the trimmed text, each run of line ends taken for the two characters `\n`.
#[must_use]
pub fn checksum(text: &str) -> String {
    let text = text.trim();
    let mut sum = u32::MAX;
    let mut in_line_ends = false;
    for byte in text.bytes() {
        match (byte, in_line_ends) {
            (b'\n', true) => {}
            (b'\n', false) => sum = step(step(sum, b'\\'), b'n'),
            _ => sum = step(sum, byte),
        }
        in_line_ends = byte == b'\n';
    }
    format!("{:08x}", !sum)
}

/// What Knative says of a changed documentation.
#[must_use]
pub fn changed() -> &'static str {
    "the update modifies a key in \"_example\" which is probably not what you want. Instead, copy the respective setting \
     to the top-level of the ConfigMap, directly below \"data\""
}

/// One byte of the IEEE CRC-32, reflected.
fn step(sum: u32, byte: u8) -> u32 {
    (0..8).fold(sum ^ u32::from(byte), |sum, _| {
        (sum >> 1) ^ (0xedb8_8320 & (sum & 1).wrapping_neg())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_ieee_crc_of_the_trimmed_text() {
        assert_eq!(checksum("123456789"), "cbf43926");
        assert_eq!(checksum(" \n123456789\n\n"), "cbf43926");
        assert_eq!(checksum(""), "00000000");
    }

    #[test]
    fn a_run_of_line_ends_counts_as_one() {
        assert_eq!(checksum("a\n\n\nb"), checksum("a\nb"));
        assert_eq!(checksum("a\nb"), checksum("a\\nb"));
    }
}
