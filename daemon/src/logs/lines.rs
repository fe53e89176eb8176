// SPDX-License-Identifier: Apache-2.0
//! What a container wrote, line by line.
//!
//! Invariants: bytes stay as they are; a line ends with a newline, the last one too; a longer line comes in pieces.
//! Depends on: futures.

use futures::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _};
use futures::stream::{self, BoxStream, StreamExt as _};

/// The longest piece of a line.
const LONGEST: u64 = 1 << 20;

/// Lines with what stands before each.
pub(super) type Lines = BoxStream<'static, Vec<u8>>;

/// The lines of a reader; a log that breaks off ends there, as one does whose pod is gone.
pub(super) fn of(reader: impl AsyncBufRead + Send + 'static, prefix: String) -> Lines {
    let begun = (Box::pin(reader), prefix);
    stream::unfold(begun, |(mut reader, prefix)| async move {
        let mut line = prefix.clone().into_bytes();
        let read = (&mut reader).take(LONGEST).read_until(b'\n', &mut line).await;
        if read.unwrap_or_default() == 0 {
            return None;
        }
        if !line.ends_with(b"\n") {
            line.push(b'\n');
        }
        Some((line, (reader, prefix)))
    })
    .boxed()
}

/// No line.
pub(super) fn none() -> Lines {
    stream::empty().boxed()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &'static [u8], prefix: &str) -> Vec<Vec<u8>> {
        futures::executor::block_on(of(text, prefix.to_owned()).collect())
    }

    #[test]
    fn each_line_has_its_prefix_and_an_end() {
        assert_eq!(lines(b"a\n\nb", "p "), [&b"p a\n"[..], b"p \n", b"p b\n"]);
        assert!(lines(b"", "p ").is_empty());
    }

    #[test]
    fn bytes_that_are_no_text_stay_as_they_are() {
        assert_eq!(lines(b"\xff\x00\n", ""), [b"\xff\x00\n"]);
    }
}
