// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0
//! IP and TCP headers of a packet, by direct access: they lie in the linear part, payload may not.

use aya_ebpf::bindings::__sk_buff;
use wire::Segment;

/// FIN.
const FIN: u8 = 1;
/// SYN.
const SYN: u8 = 2;

/// A TCP segment.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
pub(crate) struct Packet {
    pub(crate) segment: Segment,
    flags: u8,
    /// The sender's port, network order.
    pub(crate) source_port: u16,
}

impl Packet {
    #[inline(always)]
    pub(crate) fn length(&self) -> u32 {
        self.segment.end.wrapping_sub(self.segment.at)
    }
    #[inline(always)]
    pub(crate) fn fin(&self) -> bool {
        self.flags & FIN != 0
    }
    #[inline(always)]
    pub(crate) fn syn(&self) -> bool {
        self.flags & SYN != 0
    }
}

/// Reads the headers. None: not TCP, a fragment, IPv6 extension headers, or cut short.
#[inline(always)]
pub(crate) fn parse(skb: *mut __sk_buff) -> Option<Packet> {
    // SAFETY: context fields; the pointers are compared with `data_end` before each use, as the verifier demands.
    unsafe {
        let data = (*skb).data as usize as *const u8;
        let end = (*skb).data_end as usize as *const u8;
        if data.add(40) > end {
            return None;
        }
        let version = *data >> 4;
        let header = if version == 4 {
            // A later fragment has no TCP header.
            if *data.add(9) != 6 || (*data.add(6) & 0x1f) | *data.add(7) != 0 {
                return None;
            }
            usize::from(*data & 15) * 4
        } else if version == 6 {
            if *data.add(6) != 6 {
                return None;
            }
            40
        } else {
            return None;
        };
        let tcp = data.add(header);
        if tcp.add(20) > end {
            return None;
        }
        let words = tcp.cast::<u32>();
        let at = header as u32 + u32::from(*tcp.add(12) >> 4) * 4;
        let length = (*skb).len;
        if at > length {
            return None;
        }
        let seq = u32::from_be(*words.add(1));
        let flags = *tcp.add(13);
        Some(Packet {
            segment: Segment { seq, at, end: length },
            flags,
            source_port: *tcp.cast::<u16>(),
        })
    }
}
