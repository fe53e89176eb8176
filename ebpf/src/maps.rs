// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0
//! The maps; their names stand in [`abi::names`], their sizes are set by the loader.

use core::ptr::null_mut;

use abi::{
    Backend, BackendKey, Config, Origin, PeerKey, PodCounts, PodKey, PodShared, PodSlot, Redirects, RevisionShared,
    TargetKey,
};
use aya_ebpf::bindings::bpf_sock;
use aya_ebpf::btf_maps::SkStorage;
use aya_ebpf::helpers::generated::bpf_sk_storage_get;
use aya_ebpf::macros::{btf_map, map};
use aya_ebpf::maps::{Array, HashMap, LruHashMap, PerCpuArray, RingBuf};

use crate::connection::{Connection, Handshake, Stash, Streams};

/// `BPF_F_NO_PREALLOC`: memory only for what is there.
const NO_PREALLOC: u32 = 1;

#[btf_map]
pub(crate) static CONNECTIONS: SkStorage<Connection> = SkStorage::new();
#[btf_map]
pub(crate) static STREAMS: SkStorage<Streams> = SkStorage::new();
#[btf_map]
pub(crate) static STASH: SkStorage<Stash> = SkStorage::new();
#[btf_map]
pub(crate) static STASH_2: SkStorage<Stash> = SkStorage::new();
#[btf_map]
pub(crate) static STASH_3: SkStorage<Stash> = SkStorage::new();
#[btf_map]
pub(crate) static STASH_4: SkStorage<Stash> = SkStorage::new();
#[btf_map]
pub(crate) static ORIGINS: SkStorage<Origin> = SkStorage::new();

#[map]
pub(crate) static COUNTS: PerCpuArray<PodCounts> = PerCpuArray::with_max_entries(1024, 0);
#[map]
pub(crate) static SHARED: Array<PodShared> = Array::with_max_entries(1024, 0);
#[map]
pub(crate) static REVISIONS: Array<RevisionShared> = Array::with_max_entries(1024, 0);
#[map]
pub(crate) static PODS: HashMap<PodKey, PodSlot> = HashMap::with_max_entries(1024, NO_PREALLOC);
#[map]
pub(crate) static CONFIG: Array<Config> = Array::with_max_entries(1, 0);
#[map]
pub(crate) static HEARTBEAT: Array<u64> = Array::with_max_entries(1, 0);
#[map]
pub(crate) static GENERATION: Array<u64> = Array::with_max_entries(1, 0);
#[map]
pub(crate) static EVENTS: RingBuf = RingBuf::with_byte_size(1 << 18, 0);
#[map]
pub(crate) static TARGETS: HashMap<TargetKey, u32> = HashMap::with_max_entries(16_384, NO_PREALLOC);
#[map]
pub(crate) static SWITCHES: Array<u64> = Array::with_max_entries(16_384, 0);
#[map]
pub(crate) static BACKENDS: HashMap<BackendKey, Backend> = HashMap::with_max_entries(65_536, NO_PREALLOC);
#[map]
pub(crate) static PEERS: LruHashMap<PeerKey, Origin> = LruHashMap::with_max_entries(65_536, 0);
#[map]
pub(crate) static REDIRECTS: PerCpuArray<Redirects> = PerCpuArray::with_max_entries(1, 0);
#[map]
pub(crate) static HANDSHAKE: PerCpuArray<Handshake> = PerCpuArray::with_max_entries(1, 0);

/// The storage of a socket in one of the maps; null when there is none, or none could be made.
#[inline(always)]
pub(crate) fn storage<T>(map: &'static SkStorage<T>, sk: *mut bpf_sock, flags: u64) -> *mut T {
    // SAFETY: a map and a socket.
    unsafe { bpf_sk_storage_get((&raw const *map).cast_mut().cast(), sk.cast(), null_mut(), flags) }.cast()
}
