// SPDX-License-Identifier: Apache-2.0
//! What the kernel side tells at once.
//!
//! Depends on: `abi`, aya (ring buffer).

use std::{
    io,
    net::SocketAddr,
    os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd},
    path::Path,
};

use aya::maps::{Map, MapData, MapError, RingBuf};

use crate::{
    shared::{PodId, RevisionId},
    targets,
};

/// One event; times are ns of CLOCK_MONOTONIC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A pod's in flight reached its threshold.
    PodBurst {
        /// Which.
        pod: PodId,
        /// In flight.
        in_flight: u64,
        /// When.
        time: u64,
    },
    /// A revision's in flight on this node reached its threshold.
    RevisionBurst {
        /// Which.
        revision: RevisionId,
        /// In flight.
        in_flight: u64,
        /// When.
        time: u64,
    },
    /// A socket started to listen.
    Listen {
        /// Cookie of its network namespace, 0 where the kernel does not tell.
        netns: u64,
        /// Its address.
        local: SocketAddr,
        /// When.
        time: u64,
    },
}

/// The events, oldest first. Its descriptor is readable when there are some.
pub struct Events {
    ring: RingBuf<MapData>,
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Events").finish_non_exhaustive()
    }
}

impl Events {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let open = || RingBuf::try_from(Map::from_map_data(MapData::from_pin(path)?)?);
        let ring = open().map_err(|error| match error {
            MapError::SyscallError(error) => error.io_error,
            MapError::IoError(error) => error,
            other => io::Error::other(other),
        })?;
        Ok(Self { ring })
    }

    /// The next event; kinds we do not know are passed over.
    #[expect(clippy::should_implement_trait, reason = "more may come after None")]
    pub fn next(&mut self) -> Option<Event> {
        loop {
            let item = self.ring.next()?;
            if let Some(event) = parse(&item) {
                return Some(event);
            }
        }
    }
}

impl AsFd for Events {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.ring.as_fd()
    }
}

impl AsRawFd for Events {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

fn parse(bytes: &[u8]) -> Option<Event> {
    let event = read(bytes)?;
    let (index, in_flight, time) = (event.index, event.value, event.time);
    match event.kind {
        abi::EVENT_POD_BURST => Some(Event::PodBurst {
            pod: PodId(index),
            in_flight,
            time,
        }),
        abi::EVENT_REVISION_BURST => Some(Event::RevisionBurst {
            revision: RevisionId(index),
            in_flight,
            time,
        }),
        abi::EVENT_LISTEN => {
            let local = SocketAddr::new(targets::ip_address(event.addr), event.port);
            Some(Event::Listen {
                netns: event.netns,
                local,
                time,
            })
        }
        _ => None,
    }
}

#[expect(unsafe_code, reason = "plain data")]
fn read(bytes: &[u8]) -> Option<abi::Event> {
    // SAFETY: long enough, integers only, read without alignment.
    (bytes.len() >= size_of::<abi::Event>()).then(|| unsafe { bytes.as_ptr().cast::<abi::Event>().read_unaligned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_unknown_events_are_passed_over() {
        assert_eq!(parse(&[1, 0, 0, 0]), None);
        let mut bytes = [0; size_of::<abi::Event>()];
        bytes[0] = 77;
        assert_eq!(parse(&bytes), None);
        bytes[0] = abi::EVENT_POD_BURST as u8;
        bytes[4] = 9;
        bytes[8] = 3;
        assert_eq!(
            parse(&bytes),
            Some(Event::PodBurst {
                pod: PodId(9),
                in_flight: 3,
                time: 0
            })
        );
    }
}
