// SPDX-License-Identifier: Apache-2.0
//! Maps by descriptor: typed elements, per-CPU values into a reused buffer, batches.
//!
//! Problem: a snapshot of a pod must cost less than a microsecond, a list of 10 000 targets one call.
//! Mechanism: BPF_MAP_*_ELEM and BPF_MAP_*_BATCH over plain values; sizes are compared with the map's own once.
//! Invariants: a `Map<K, V>` exists only for a map whose key and value have the sizes of `K` and `V`.
//! Depends on: `sys`, aya (the `Pod` marker).

use std::{
    io,
    marker::PhantomData,
    mem::MaybeUninit,
    os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd},
    path::Path,
};

use aya::Pod;

use super::{Command, bpf, object, owned, possible_cpus};

/// BPF_MAP_TYPE_HASH.
pub const TYPE_HASH: u32 = 1;
/// BPF_MAP_TYPE_ARRAY.
pub const TYPE_ARRAY: u32 = 2;
/// BPF_MAP_TYPE_PERCPU_ARRAY.
pub const TYPE_PERCPU_ARRAY: u32 = 6;
/// BPF_MAP_TYPE_SK_STORAGE.
pub const TYPE_SK_STORAGE: u32 = 24;
/// BPF_MAP_TYPE_RINGBUF.
pub const TYPE_RINGBUF: u32 = 27;
/// BPF_F_MMAPABLE.
pub const MMAPABLE: u32 = 1 << 10;

/// What the kernel says about a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MapInfo {
    /// `TYPE_*`.
    pub kind: u32,
    /// Map id.
    pub id: u32,
    /// Bytes of a key.
    pub key_size: u32,
    /// Bytes of a value.
    pub value_size: u32,
    /// Room.
    pub max_entries: u32,
    /// Creation flags.
    pub flags: u32,
}

/// Shape of a map to be created.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// `TYPE_*`.
    pub kind: u32,
    /// Bytes of a key.
    pub key_size: u32,
    /// Bytes of a value.
    pub value_size: u32,
    /// Room.
    pub max_entries: u32,
    /// Creation flags.
    pub flags: u32,
}

#[repr(C)]
#[derive(Default)]
struct RawInfo {
    kind: u32,
    id: u32,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
    flags: u32,
}

#[repr(C)]
struct CreateAttr {
    kind: u32,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
    flags: u32,
    inner: u32,
    numa: u32,
    name: [u8; 16],
}

#[repr(C)]
struct ElementAttr {
    map: u32,
    pad: u32,
    key: u64,
    value: u64,
    flags: u64,
}

#[repr(C)]
struct BatchAttr {
    in_batch: u64,
    out_batch: u64,
    keys: u64,
    values: u64,
    count: u32,
    map: u32,
    element_flags: u64,
    flags: u64,
}

/// Creates a map.
pub fn create(name: &str, shape: Shape) -> io::Result<OwnedFd> {
    let mut attr = CreateAttr {
        kind: shape.kind,
        key_size: shape.key_size,
        value_size: shape.value_size,
        max_entries: shape.max_entries,
        flags: shape.flags,
        inner: 0,
        numa: 0,
        name: [0; 16],
    };
    for (to, from) in attr.name.iter_mut().zip(name.bytes().take(15)) {
        *to = from;
    }
    // SAFETY: CreateAttr is a prefix of what MAP_CREATE reads, without pointers.
    unsafe { bpf(Command::MapCreate, &mut attr) }.map(owned)
}

/// Asks the kernel about a map.
pub fn info(map: BorrowedFd<'_>) -> io::Result<MapInfo> {
    let mut raw = RawInfo::default();
    // SAFETY: RawInfo is a prefix of bpf_map_info, integers only.
    unsafe { object::info(map, &mut raw) }?;
    Ok(MapInfo {
        kind: raw.kind,
        id: raw.id,
        key_size: raw.key_size,
        value_size: raw.value_size,
        max_entries: raw.max_entries,
        flags: raw.flags,
    })
}

/// Bytes that a map takes, as the kernel accounts for them.
pub fn memory(map: BorrowedFd<'_>, proc_root: &Path) -> io::Result<u64> {
    let text = std::fs::read_to_string(proc_root.join(format!("self/fdinfo/{}", map.as_raw_fd())))?;
    let bytes = text
        .lines()
        .find_map(|line| line.strip_prefix("memlock:"))
        .and_then(|number| number.trim().parse().ok());
    bytes.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
}

/// A map of plain keys and values (array or hash).
#[derive(Debug)]
pub struct Map<K, V> {
    fd: OwnedFd,
    info: MapInfo,
    types: PhantomData<fn(K) -> V>,
}

impl<K: Pod, V: Pod> Map<K, V> {
    /// Takes a map whose sizes fit.
    pub fn new(fd: OwnedFd) -> io::Result<Self> {
        let info = info(fd.as_fd())?;
        if info.key_size as usize != size_of::<K>() || info.value_size as usize != size_of::<V>() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "key or value of another size",
            ));
        }
        Ok(Self {
            fd,
            info,
            types: PhantomData,
        })
    }

    /// Opens a pinned map.
    pub fn open(path: &Path) -> io::Result<Self> {
        Self::new(object::get(path)?)
    }

    /// What the kernel said about it.
    pub fn info(&self) -> MapInfo {
        self.info
    }

    /// Its descriptor.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// The value of a key.
    pub fn get(&self, key: &K) -> io::Result<Option<V>> {
        let mut value = MaybeUninit::<V>::uninit();
        let mut attr = self.element(key, value.as_mut_ptr() as u64, 0);
        // SAFETY: sizes were compared in `new`; key and value outlive the call.
        match unsafe { bpf(Command::MapLookup, &mut attr) } {
            // SAFETY: the kernel wrote all `value_size` bytes, and any bytes are a `Pod`.
            Ok(_) => Ok(Some(unsafe { value.assume_init() })),
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Sets the value of a key.
    pub fn set(&self, key: &K, value: &V) -> io::Result<()> {
        let mut attr = self.element(key, std::ptr::from_ref(value) as u64, 0);
        // SAFETY: sizes were compared in `new`; key and value outlive the call.
        unsafe { bpf(Command::MapUpdate, &mut attr) }.map(drop)
    }

    /// Removes a key; whether it was there.
    pub fn remove(&self, key: &K) -> io::Result<bool> {
        let mut attr = self.element(key, 0, 0);
        // SAFETY: the size was compared in `new`; the key outlives the call.
        match unsafe { bpf(Command::MapDelete, &mut attr) } {
            Ok(_) => Ok(true),
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// All keys. Keys that come or go meanwhile may or may not be among them.
    pub fn keys(&self) -> io::Result<Vec<K>> {
        let mut keys: Vec<K> = Vec::new();
        // A hash whose key vanishes under us starts again: never more turns than it has room for, twice.
        for _ in 0..=u64::from(self.info.max_entries) * 2 {
            let mut next = MaybeUninit::<K>::uninit();
            let mut attr = ElementAttr {
                map: self.fd.as_raw_fd() as u32,
                pad: 0,
                key: keys.last().map_or(0, |key| std::ptr::from_ref(key) as u64),
                value: next.as_mut_ptr() as u64,
                flags: 0,
            };
            // SAFETY: the size was compared in `new`; both keys outlive the call; a null key asks for the first.
            match unsafe { bpf(Command::MapNextKey, &mut attr) } {
                // SAFETY: the kernel wrote all `key_size` bytes, and any bytes are a `Pod`.
                Ok(_) => keys.push(unsafe { next.assume_init() }),
                Err(error) if error.raw_os_error() == Some(libc::ENOENT) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(keys)
    }

    /// Sets many elements: one call where the kernel has batches (5.6), else one each.
    pub fn set_all(&self, keys: &[K], values: &[V]) -> io::Result<()> {
        assert_eq!(keys.len(), values.len());
        if keys.is_empty() {
            return Ok(());
        }
        match self.batch(Command::MapUpdateBatch, keys, values.as_ptr() as u64) {
            Err(error) if is_without_batch(&error) => keys.iter().zip(values).try_for_each(|(k, v)| self.set(k, v)),
            other => other,
        }
    }

    /// Removes many elements; those that are not there are passed over.
    pub fn remove_all(&self, keys: &[K]) -> io::Result<()> {
        if keys.is_empty() {
            return Ok(());
        }
        match self.batch(Command::MapDeleteBatch, keys, 0) {
            Ok(()) => Ok(()),
            // One missing key ends a batch: finish one by one.
            Err(_) => keys.iter().try_for_each(|key| self.remove(key).map(drop)),
        }
    }

    fn batch(&self, command: Command, keys: &[K], values: u64) -> io::Result<()> {
        let mut attr = BatchAttr {
            in_batch: 0,
            out_batch: 0,
            keys: keys.as_ptr() as u64,
            values,
            count: keys.len() as u32,
            map: self.fd.as_raw_fd() as u32,
            element_flags: 0,
            flags: 0,
        };
        // SAFETY: sizes were compared in `new`; keys (and values, of equal number) outlive the call.
        unsafe { bpf(command, &mut attr) }.map(drop)
    }

    fn element(&self, key: &K, value: u64, flags: u64) -> ElementAttr {
        ElementAttr {
            map: self.fd.as_raw_fd() as u32,
            pad: 0,
            key: std::ptr::from_ref(key) as u64,
            value,
            flags,
        }
    }
}

/// The kernel-internal ENOTSUPP, which bpf(2) lets out.
const ENOTSUPP: i32 = 524;

fn is_without_batch(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EINVAL | ENOTSUPP))
}

/// A per-CPU array whose values are read as words, all CPUs in one call.
#[derive(Debug)]
pub struct PerCpu {
    fd: OwnedFd,
    info: MapInfo,
    cpus: usize,
}

impl PerCpu {
    /// Takes a per-CPU array.
    pub fn new(fd: OwnedFd) -> io::Result<Self> {
        let info = info(fd.as_fd())?;
        if info.kind != TYPE_PERCPU_ARRAY || info.key_size != 4 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "not a per-CPU array"));
        }
        Ok(Self {
            fd,
            info,
            cpus: possible_cpus()?,
        })
    }

    /// Opens a pinned one.
    pub fn open(path: &Path) -> io::Result<Self> {
        Self::new(object::get(path)?)
    }

    /// What the kernel said about it.
    pub fn info(&self) -> MapInfo {
        self.info
    }

    /// Words of one CPU's value.
    pub fn words_per_cpu(&self) -> usize {
        (self.info.value_size as usize).div_ceil(8)
    }

    /// Words of all CPUs' values: what a buffer for [`PerCpu::read`] must hold.
    pub fn words(&self) -> usize {
        self.words_per_cpu() * self.cpus
    }

    /// Copies all CPUs' values of one index, each in address order.
    pub fn read(&self, index: u32, into: &mut [u64]) -> io::Result<()> {
        assert!(into.len() >= self.words());
        self.element(Command::MapLookup, index, into.as_mut_ptr() as u64)
    }

    /// Sets all CPUs' values of one index to 0.
    pub fn clear(&self, index: u32) -> io::Result<()> {
        let zeros = vec![0_u64; self.words()];
        self.element(Command::MapUpdate, index, zeros.as_ptr() as u64)
    }

    fn element(&self, command: Command, index: u32, value: u64) -> io::Result<()> {
        let mut attr = ElementAttr {
            map: self.fd.as_raw_fd() as u32,
            pad: 0,
            key: std::ptr::from_ref(&index) as u64,
            value,
            flags: 0,
        };
        // SAFETY: the key is a u32 (checked in `new`); the callers' buffers hold one rounded value per possible CPU.
        unsafe { bpf(command, &mut attr) }.map(drop)
    }
}
