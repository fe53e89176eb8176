// SPDX-License-Identifier: Apache-2.0
//! The BPF object: finding, checking, loading.
//!
//! Problem: an object of another build would misread every map; an old kernel must not even see programs it refuses.
//! Mechanism: the object's fingerprint is compared with ours before anything is loaded; aya creates or reuses the pinned
//! maps and loads only the programs asked for; what is kept are descriptors.
//! Invariants: maps that userspace maps into memory are made here, with BPF_F_MMAPABLE, before aya sees them.
//! Depends on: aya, object, `pins`, `sys`.

use std::{
    borrow::Cow,
    collections::HashMap,
    fs, io,
    num::NonZero,
    os::fd::{AsFd as _, OwnedFd},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    thread, vec,
};

use abi::names;
use aya::{
    Ebpf, EbpfLoader, VerifierLogLevel,
    programs::{Program, ProgramError},
};
use object::{Object as _, ObjectSection as _, ObjectSymbol as _};

use crate::{
    features::Support,
    hooks::Hook,
    pins::Folder,
    settings::Settings,
    sys::{
        self,
        map::{self, MMAPABLE, Shape, TYPE_ARRAY},
        program::ProgramInfo,
    },
};

/// Why there is no object to load, or why it does not load.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    /// No file, and none built in.
    #[error("no BPF object: none is built in and {path} cannot be read")]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Not an object as we know them.
    #[error("the BPF object cannot be understood: {why}")]
    Unreadable {
        /// In words.
        why: String,
    },
    /// Made from other layouts.
    #[error("the BPF object has layouts {found:#018x}, this binary {expected:#018x}")]
    Mismatch {
        /// The object's fingerprint.
        found: u64,
        /// Ours.
        expected: u64,
    },
    /// Maps could not be made.
    #[error("the kernel refused a map")]
    Maps(#[source] Box<aya::EbpfError>),
    /// A map that is mapped into memory could not be made.
    #[error("map {name} could not be made")]
    Map {
        /// Its name.
        name: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// The verifier or the kernel refused a program.
    #[error("the kernel refused {program}: {log}")]
    Refused {
        /// Its name.
        program: &'static str,
        /// The end of the verifier's log.
        log: String,
        /// Why.
        source: Box<ProgramError>,
    },
}

impl ObjectError {
    /// What to do about it.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "build it with `cargo xtask build`, or name it with --object",
            Self::Unreadable { .. } => "build it again with `cargo xtask build`",
            Self::Mismatch { .. } => {
                "build object and binary from the same source: `cargo xtask build`, then `cargo build`"
            }
            Self::Maps(_) | Self::Map { .. } => {
                "check the memory limit (RLIMIT_MEMLOCK before Linux 5.11) and choose smaller maps"
            }
            Self::Refused { .. } => "run `sluice check` and report its output with this message",
        }
    }
}

#[cfg(not(no_bpf_object))]
const EMBEDDED: Option<&[u8]> = Some(aya::include_bytes_aligned!(env!("SLUICE_BPF_OBJECT_FOUND")));
#[cfg(no_bpf_object)]
const EMBEDDED: Option<&[u8]> = None;

/// The bytes to load: the file named, else the one built in, else where the build puts it.
pub(crate) fn find(settings: &Settings) -> Result<Cow<'static, [u8]>, ObjectError> {
    let read = |path: &Path| {
        fs::read(path).map(Cow::Owned).map_err(|source| ObjectError::Missing {
            path: path.to_owned(),
            source,
        })
    };
    match (&settings.object, EMBEDDED) {
        (Some(path), _) => read(path),
        (None, Some(bytes)) => Ok(Cow::Borrowed(bytes)),
        (None, None) => read(Path::new("target/bpf/sluice.o")),
    }
}

/// Whether an object can be found without loading anything: for tests that need one.
pub fn is_available(settings: &Settings) -> bool {
    find(settings).is_ok()
}

/// Refuses an object whose layouts are not ours.
pub(crate) fn check(bytes: &[u8]) -> Result<(), ObjectError> {
    let found = fingerprint(bytes)?;
    let expected = abi::FINGERPRINT;
    if found == expected {
        Ok(())
    } else {
        Err(ObjectError::Mismatch { found, expected })
    }
}

fn fingerprint(bytes: &[u8]) -> Result<u64, ObjectError> {
    global(bytes, names::GLOBAL_FINGERPRINT)?.ok_or_else(|| ObjectError::Unreadable {
        why: "it has no fingerprint".to_owned(),
    })
}

/// Layouts of what the programs keep in sockets, private to them: a swap finds the state that the last ones left.
pub(crate) fn state(bytes: &[u8]) -> Result<u64, ObjectError> {
    global(bytes, GLOBAL_STATE)?.ok_or_else(|| ObjectError::Unreadable {
        why: format!("it has no {GLOBAL_STATE}"),
    })
}

/// Read-only global u64 of the object.
const GLOBAL_STATE: &str = "SLUICE_STATE";

/// The initial value of a u64.
fn global(bytes: &[u8], name: &str) -> Result<Option<u64>, ObjectError> {
    let unreadable = |why: String| ObjectError::Unreadable { why };
    let file = object::File::parse(bytes).map_err(|error| unreadable(error.to_string()))?;
    let Some(symbol) = file.symbols().find(|symbol| symbol.name() == Ok(name)) else {
        return Ok(None);
    };
    let section = symbol
        .section_index()
        .and_then(|index| file.section_by_index(index).ok());
    let data = section.and_then(|section| section.data().ok());
    let at = symbol.address() as usize;
    let word = data
        .and_then(|data| data.get(at..at + 8))
        .and_then(|bytes| bytes.try_into().ok());
    word.map(|word| Some(u64::from_le_bytes(word)))
        .ok_or_else(|| unreadable(format!("its {name} is cut off")))
}

/// A loaded program.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) fd: OwnedFd,
    pub(crate) info: ProgramInfo,
}

/// Which programs to load, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Choice {
    pub(crate) is_exact: bool,
    pub(crate) redirect: bool,
    pub(crate) by_netns: bool,
}

/// Makes (or reuses) the pinned maps and loads the programs.
pub(crate) fn load(
    bytes: &[u8],
    folder: &Folder,
    settings: &Settings,
    choice: Choice,
) -> Result<HashMap<Hook, Loaded>, ObjectError> {
    make_mapped(folder, settings)?;
    let by_netns = u8::from(choice.by_netns);
    let mut loader = EbpfLoader::new();
    // No program uses kernel types.
    loader
        .btf(None)
        .verifier_log_level(VerifierLogLevel::STATS)
        .allow_unsupported_maps();
    loader.override_global(names::GLOBAL_BY_NETNS, &by_netns, true);
    for (name, room) in rooms(settings) {
        loader.map_max_entries(name, room);
    }
    for name in names::PINNED {
        loader.map_pin_path(name, folder.map(name));
    }
    loader.map_pin_path(names::GENERATION, generation_path(settings));
    let mut object = loader.load(bytes).map_err(|error| ObjectError::Maps(Box::new(error)))?;
    load_programs(&mut object, choice)
}

/// One thread a CPU: the verifier is most of the time that starting takes, and it is not serial. The longest programs
/// come first, so that none of them is left to the end.
fn load_programs(object: &mut Ebpf, choice: Choice) -> Result<HashMap<Hook, Loaded>, ObjectError> {
    let hooks = Hook::ALL
        .into_iter()
        .filter(|hook| choice.redirect || !hook.is_for_clients());
    let wanted: Vec<(Hook, &'static str)> = hooks
        .filter_map(|hook| Some((hook, hook.program(choice.is_exact)?)))
        .collect();
    if let Some((_, name)) = wanted.iter().find(|(_, name)| object.program(name).is_none()) {
        return Err(ObjectError::Unreadable {
            why: format!("it has no {name}"),
        });
    }
    let is_wanted = |found: &str| wanted.iter().find(|(_, name)| *name == found).copied();
    let mut jobs: Vec<Job<'_>> = object
        .programs_mut()
        .filter_map(|(found, program)| is_wanted(found).map(|(hook, name)| (hook, name, program)))
        .collect();
    jobs.sort_by_key(|(hook, ..)| hook.verified_after());
    let queue = Mutex::new(jobs.into_iter());
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(|| load_until_empty(&queue))).collect();
        let join = |worker: thread::ScopedJoinHandle<'_, _>| match worker.join() {
            Ok(loaded) => loaded,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        workers.into_iter().flat_map(join).collect()
    })
}

type Job<'a> = (Hook, &'static str, &'a mut Program);

fn load_until_empty(queue: &Mutex<vec::IntoIter<Job<'_>>>) -> Vec<Result<(Hook, Loaded), ObjectError>> {
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
    let load = |(hook, name, program)| Ok((hook, load_program(name, program)?));
    std::iter::from_fn(next).map(load).collect()
}

fn load_program(name: &'static str, program: &mut Program) -> Result<Loaded, ObjectError> {
    let result = match program {
        Program::CgroupSkb(program) => program.load(),
        Program::SockOps(program) => program.load(),
        Program::CgroupSockAddr(program) => program.load(),
        _ => {
            return Err(ObjectError::Unreadable {
                why: format!("{name} is of another kind"),
            });
        }
    };
    let refused = |source: ProgramError| ObjectError::Refused {
        program: name,
        log: end_of_log(&source),
        source: Box::new(source),
    };
    result.map_err(refused)?;
    let fd = program.fd().map_err(refused)?.as_fd().try_clone_to_owned();
    let fd = fd.map_err(|source| ObjectError::Map { name, source })?;
    let info = sys::program::info(fd.as_fd()).map_err(|source| ObjectError::Map { name, source })?;
    Ok(Loaded { fd, info })
}

const LOG_LINES: usize = 30;

fn end_of_log(error: &ProgramError) -> String {
    let ProgramError::LoadError { io_error, verifier_log } = error else {
        return error.to_string();
    };
    let text = verifier_log.to_string();
    let lines: Vec<&str> = text.lines().collect();
    let end = lines[lines.len().saturating_sub(LOG_LINES)..].join("\n");
    format!("{io_error}\n{end}")
}

/// Where the word stands that all generations share.
pub(crate) fn generation_path(settings: &Settings) -> PathBuf {
    settings.pin_dir.join("generation")
}

fn rooms(settings: &Settings) -> [(&'static str, u32); 5] {
    [
        (names::COUNTS, settings.pods),
        (names::PODS, settings.pods),
        (names::TARGETS, settings.targets),
        (names::BACKENDS, settings.backends),
        (names::PEERS, settings.peers),
    ]
}

/// Arrays that userspace maps into memory: name, bytes of an element, room.
fn mapped(settings: &Settings) -> [(&'static str, usize, u32); 4] {
    [
        (names::SHARED, size_of::<abi::PodShared>(), settings.pods),
        (names::REVISIONS, size_of::<abi::RevisionShared>(), settings.revisions),
        (names::SWITCHES, 8, settings.targets),
        (names::HEARTBEAT, 8, 1),
    ]
}

fn make_mapped(folder: &Folder, settings: &Settings) -> Result<(), ObjectError> {
    for (name, size, room) in mapped(settings) {
        make_one(&folder.map(name), name, size, room)?;
    }
    make_one(&generation_path(settings), names::GENERATION, 8, 1)
}

fn make_one(path: &Path, name: &'static str, size: usize, room: u32) -> Result<(), ObjectError> {
    if path.exists() {
        return Ok(());
    }
    let shape = Shape {
        kind: TYPE_ARRAY,
        key_size: 4,
        value_size: size as u32,
        max_entries: room,
        flags: MMAPABLE,
    };
    let made = map::create(name, shape).and_then(|fd| sys::object::pin(fd.as_fd(), path));
    made.map_err(|source| ObjectError::Map { name, source })
}

/// Which tier the programs are for, after the kernel has had its say.
pub(crate) fn is_verifier(error: &ObjectError) -> bool {
    matches!(error, ObjectError::Refused { .. })
}

pub(crate) fn choice(is_exact: bool, redirect: &Support, cookie: &Support) -> Choice {
    Choice {
        is_exact,
        redirect: redirect.is_there(),
        by_netns: cookie.is_there(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_object_is_unreadable() {
        assert!(matches!(check(b"no ELF at all"), Err(ObjectError::Unreadable { .. })));
        assert!(matches!(check(&[]), Err(ObjectError::Unreadable { .. })));
    }

    #[test]
    fn a_missing_file_is_named() {
        let settings = Settings {
            object: Some(PathBuf::from("/nowhere/sluice.o")),
            ..Settings::default()
        };
        let error = find(&settings).unwrap_err();
        assert!(error.to_string().contains("/nowhere/sluice.o"), "{error}");
        assert!(error.advice().contains("cargo xtask build"));
    }
}
