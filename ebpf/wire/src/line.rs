// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0
//! The buffer a line is read into, eight bytes at a time.

/// Bytes read from a packet at once.
pub const SPAN: u32 = 128;
/// Bytes of a line kept over segment ends: of a longer line the first 48 and the last 16 so far, which may hold
/// its version and its CR.
pub(crate) const KEEP: u32 = 64;
/// Room for `KEEP` + `SPAN`, and for whole words read past any index that `INSIDE` allows.
pub const BUFFER: usize = 264;
/// Masks an index so that a word there lies inside the buffer.
const INSIDE: usize = 255;

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// The eight bytes at `at`, which is a multiple of 8: one load. The kernel's stack and some machines do not take
/// unaligned ones.
#[inline(always)]
fn aligned(buffer: &[u8; BUFFER], at: u32) -> u64 {
    let i = at as usize & INSIDE & !7;
    u64::from_le_bytes([
        buffer[i],
        buffer[i + 1],
        buffer[i + 2],
        buffer[i + 3],
        buffer[i + 4],
        buffer[i + 5],
        buffer[i + 6],
        buffer[i + 7],
    ])
}

/// The eight bytes at `at`, the first in the lowest bits.
#[inline(always)]
pub(crate) fn word(buffer: &[u8; BUFFER], at: u32) -> u64 {
    let shift = (at & 7) * 8;
    let low = aligned(buffer, at) >> shift;
    let high = aligned(buffer, at.wrapping_add(8)) << 1 << (63 - shift);
    low | high
}

/// The byte at `at`.
#[inline(always)]
pub(crate) fn byte(buffer: &[u8; BUFFER], at: u32) -> u8 {
    buffer[at as usize & INSIDE]
}

/// Moves the last sixteen of `count` bytes to the end of what is kept.
#[inline(always)]
pub(crate) fn keep_end(buffer: &mut [u8; BUFFER], count: u32) {
    let before = word(buffer, count.wrapping_sub(16)).to_le_bytes();
    let last = word(buffer, count.wrapping_sub(8)).to_le_bytes();
    let mut i = 0;
    while i < 8 {
        buffer[KEEP as usize - 16 + i] = before[i];
        buffer[KEEP as usize - 8 + i] = last[i];
        i += 1;
    }
}

/// Index of the lowest byte of `marks` that is 0x80; `marks` has only such bits and is not 0. BPF has no
/// count-trailing-zeros: the bits below the lowest one are counted by a multiplication.
#[inline(always)]
pub(crate) const fn lowest(marks: u64) -> u32 {
    let below = (marks & marks.wrapping_neg()).wrapping_sub(1) & ONES;
    ((below.wrapping_mul(ONES) >> 56) as u32).wrapping_sub(1)
}

/// Marks (0x80) the bytes of `word` equal to `byte`, exactly: no carry leaves a byte.
#[inline(always)]
const fn equal_to(word: u64, byte: u8) -> u64 {
    let x = word ^ (ONES * byte as u64);
    !(((x & !HIGHS) + !HIGHS) | x | !HIGHS)
}

/// Distance from `from` to the next line feed, or something ≥ `SPAN` when there is none within `SPAN` bytes.
#[inline(always)]
pub(crate) fn line_feed(buffer: &[u8; BUFFER], from: u32) -> u32 {
    let inside = from & 7;
    let base = from - inside;
    let mut marks = equal_to(aligned(buffer, base), b'\n') >> (inside * 8) << (inside * 8);
    let mut i = 0;
    while i <= SPAN {
        if marks != 0 {
            return (i + lowest(marks)).wrapping_sub(inside);
        }
        i += 8;
        marks = equal_to(aligned(buffer, base + i), b'\n');
    }
    SPAN
}

/// Leading decimal digits of a word: how many, and their value.
#[inline(always)]
pub(crate) const fn digits(word: u64) -> (u32, u64) {
    let x = word ^ 0x3030_3030_3030_3030;
    // A byte above 9 gets its high bit; a carry can only disturb bytes after it.
    let other = (x.wrapping_add(0x7676_7676_7676_7676) | x) & HIGHS;
    let count = if other == 0 { 8 } else { lowest(other) };
    if count == 0 {
        return (0, 0);
    }
    // Right-align the digits, then add pairs, quads, and the two halves.
    let x = x << (64 - 8 * count);
    let pairs = x.wrapping_mul(10).wrapping_add(x >> 8) & 0x00ff_00ff_00ff_00ff;
    let quads = pairs.wrapping_mul(100).wrapping_add(pairs >> 16) & 0x0000_ffff_0000_ffff;
    let value = quads.wrapping_mul(10_000).wrapping_add(quads >> 32) & 0xffff_ffff;
    (count, value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lowest_finds_every_byte() {
        for i in 0..8 {
            assert_eq!(lowest(0x80 << (8 * i)), i);
            assert_eq!(lowest((0x80 << (8 * i)) | 1 << 63), i);
        }
    }

    #[test]
    fn digits_equal_the_standard_parser() {
        for text in [
            "0", "7", "13", "007", "99999999", "12345678", "1024\r\n", "5, 5", "", "x1", "1x", "42 ", "9/", "9:",
        ] {
            let mut bytes = [0xffu8; 8];
            bytes[..text.len().min(8)].copy_from_slice(&text.as_bytes()[..text.len().min(8)]);
            let count = bytes.iter().take_while(|b| b.is_ascii_digit()).count();
            let value = core::str::from_utf8(&bytes[..count])
                .ok()
                .and_then(|t| t.parse().ok())
                .unwrap_or(0);
            assert_eq!(digits(u64::from_le_bytes(bytes)), (count as u32, value), "{text}");
        }
    }

    #[test]
    fn line_feed_is_found_at_every_distance() {
        for at in 0..SPAN as usize {
            for from in [0usize, 1, 7, 64, 127] {
                let mut buffer = [b'x'; BUFFER];
                if from + at < BUFFER {
                    buffer[from + at] = b'\n';
                }
                assert_eq!(line_feed(&buffer, from as u32), at as u32);
            }
        }
        assert_eq!(line_feed(&[b'x'; BUFFER], 0), SPAN);
    }
}
