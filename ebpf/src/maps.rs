// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0
//! The maps; their names stand in [`abi::names`], their sizes are set by the loader.

use core::ptr::null_mut;

use abi::{
    Backend, BackendKey, Config, Origin, PeerKey, PodCounts, PodKey, PodShared, PodSlot, Redirects, RevisionShared,
    TargetKey,
};
use aya_ebpf::bindings::{BPF_SK_STORAGE_GET_F_CREATE, bpf_sock};
use aya_ebpf::btf_maps::SkStorage;
use aya_ebpf::helpers::generated::{bpf_sk_storage_delete, bpf_sk_storage_get};
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
#[map]
pub(crate) static NEWBORN: PerCpuArray<Connection> = PerCpuArray::with_max_entries(1, 0);

/// The storage of a socket in one of the maps; null when there is none, or none could be made.
#[inline(always)]
pub(crate) fn storage<T>(map: &'static SkStorage<T>, sk: *mut bpf_sock, flags: u64) -> *mut T {
    made(map, sk, null_mut(), flags)
}

/// Makes the storage of a socket in one of the maps, as `first` is (null = all zero); null when it cannot be had. Whoever
/// finds it finds all of `first`.
#[inline(always)]
pub(crate) fn make<T>(map: &'static SkStorage<T>, sk: *mut bpf_sock, first: *mut T) -> *mut T {
    let create = u64::from(BPF_SK_STORAGE_GET_F_CREATE);
    let value = made(map, sk, first, create);
    if value.is_null() {
        // Two CPUs that give a socket its first state at once are told so: one of them has to come again.
        made(map, sk, first, create)
    } else {
        value
    }
}

/// Takes the storage of a socket in one of the maps away, if there is any.
#[inline(always)]
pub(crate) fn take_away<T>(map: &'static SkStorage<T>, sk: *mut bpf_sock) {
    // SAFETY: a map and a socket.
    unsafe { bpf_sk_storage_delete((&raw const *map).cast_mut().cast(), sk.cast()) };
}

#[inline(always)]
fn made<T>(map: &'static SkStorage<T>, sk: *mut bpf_sock, first: *mut T, flags: u64) -> *mut T {
    // SAFETY: a map, a socket, and null or a value of the map's type.
    unsafe { bpf_sk_storage_get((&raw const *map).cast_mut().cast(), sk.cast(), first.cast(), flags) }.cast()
}
