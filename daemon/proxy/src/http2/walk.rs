// SPDX-License-Identifier: Apache-2.0
//! The frames of one direction of a connection, seen as their bytes pass by.
//!
//! Problem: the `h2` crate does not tell of all that it is sent, nor of all that it answers itself.
//! Mechanism: frames are walked by their lengths (RFC 9113 4.1).
//! Invariants: nothing is kept but a part of a frame's nine first bytes; however bytes are cut, each frame is seen once.
//! Depends on: nothing.

/// Bytes before a frame's payload.
const HEAD: usize = 9;

/// What a frame begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) length: usize,
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step<'a> {
    /// A frame begins.
    Head(Head),
    /// A part of its payload, which is not nothing.
    Payload(&'a [u8]),
    /// It is whole.
    End,
}

/// Where in a row of frames it is.
#[derive(Debug, Default)]
pub(super) struct Walk {
    /// Of a frame's head that is not whole.
    head: [u8; HEAD],
    /// So many bytes.
    begun: usize,
    /// Bytes of the payload that are still to come.
    left: usize,
}

impl Walk {
    /// Begins behind so many bytes.
    pub(super) fn behind(bytes: usize) -> Self {
        Self {
            left: bytes,
            ..Self::default()
        }
    }

    /// Goes on.
    pub(super) fn over(&mut self, mut bytes: &[u8], mut step: impl FnMut(Step<'_>)) {
        while !bytes.is_empty() {
            if self.left > 0 {
                let (payload, rest) = bytes.split_at_checked(self.left).unwrap_or((bytes, &[]));
                self.left -= payload.len();
                bytes = rest;
                step(Step::Payload(payload));
                if self.left == 0 {
                    step(Step::End);
                }
            } else if let (0, Some((head, rest))) = (self.begun, bytes.split_first_chunk()) {
                bytes = rest;
                self.begin(*head, &mut step);
            } else {
                let (part, rest) = bytes.split_at_checked(HEAD - self.begun).unwrap_or((bytes, &[]));
                bytes = rest;
                for byte in part {
                    if let Some(place) = self.head.get_mut(self.begun) {
                        *place = *byte;
                    }
                    self.begun += 1;
                }
                if self.begun == HEAD {
                    self.begun = 0;
                    self.begin(self.head, &mut step);
                }
            }
        }
    }

    fn begin(&mut self, [long, middle, short, kind, flags, stream @ ..]: [u8; HEAD], step: &mut impl FnMut(Step<'_>)) {
        self.left = usize::from(long) << 16 | usize::from(middle) << 8 | usize::from(short);
        step(Step::Head(Head {
            length: self.left,
            kind,
            flags,
            // The first bit means nothing.
            stream: u32::from_be_bytes(stream) & 0x7fff_ffff,
        }));
        if self.left == 0 {
            step(Step::End);
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(in crate::http2) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let head = [length[1], length[2], length[3], kind, flags];
        [&head[..], &stream.to_be_bytes(), payload].concat()
    }

    proptest! {
        #[test]
        fn however_it_is_cut_each_frame_is_seen_once(
            preface in 0_usize..30,
            frames in prop::collection::vec((any::<u8>(), any::<u8>(), 0_u32..1 << 31, prop::collection::vec(any::<u8>(), 0..40)), 0..30),
            cuts in prop::collection::vec(1_usize..30, 1..20),
        ) {
            let mut bytes = vec![7; preface];
            for (kind, flags, stream, payload) in &frames {
                bytes.extend(frame(*kind, *flags, *stream, payload));
            }
            let (mut walk, mut rest) = (Walk::behind(preface), &bytes[..]);
            let (mut heads, mut payload, mut ends) = (Vec::new(), Vec::new(), 0);
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (now, later) = rest.split_at((*cut).min(rest.len()));
                walk.over(now, |step| match step {
                    Step::Head(head) => {
                        heads.push(head);
                    }
                    Step::Payload(part) => payload.extend_from_slice(part),
                    Step::End => ends += 1,
                });
                rest = later;
            }
            let due: Vec<_> = frames.iter().map(|(kind, flags, stream, payload)| Head {
                length: payload.len(),
                kind: *kind,
                flags: *flags,
                stream: *stream,
            }).collect();
            prop_assert_eq!(heads, due);
            prop_assert_eq!(ends, frames.len() + usize::from(preface > 0));
            prop_assert_eq!(&payload[preface..], frames.iter().flat_map(|(.., payload)| payload.clone()).collect::<Vec<_>>());
        }
    }
}
