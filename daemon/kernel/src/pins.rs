// SPDX-License-Identifier: Apache-2.0
//! The folder of one generation on the bpffs, which is also its record.
//!
//! Problem: what was attached and counted must be known after kill -9, and exactly that must be removable. A bpffs
//! holds no files.
//! Mechanism: maps and links are pinned under names that say what they are; everything else is the text of a symbolic
//! link, which a bpffs does hold: `meta` → JSON, `cgroups/<id>` → path, `pods/<netns>-<address>-<port>` → index and
//! flags.
//! Invariants: this text format is frozen: other generations read it. Names have no dots (bpffs reserves them). `meta`
//! is written before the first link is pinned.
//! Depends on: `abi`, `hooks`.

use std::{
    fs, io,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use abi::PodKey;
use serde::{Deserialize, Serialize};

use crate::hooks::Hook;

/// What a generation says about itself. Other versions may say less or more: the number alone makes it one of ours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Meta {
    pub(crate) abi: u64,
    /// Hexadecimal: JSON numbers lose bits.
    #[serde(default)]
    pub(crate) fingerprint: String,
    /// Layouts of the state in sockets, which only the programs read.
    #[serde(default)]
    pub(crate) state: String,
    #[serde(default)]
    pub(crate) tier: String,
    #[serde(default)]
    pub(crate) by_netns: bool,
    #[serde(default)]
    pub(crate) version: String,
}

/// Why a record could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RecordError {
    /// There is something, but not a record as any version of ours writes it.
    #[error("{0}")]
    Foreign(String),
    /// The kernel refused.
    #[error(transparent)]
    Kernel(#[from] io::Error),
}

/// `<pin_dir>/v<abi>`.
#[derive(Clone, Debug)]
pub(crate) struct Folder {
    root: PathBuf,
}

const META: &str = "meta";
const PARTS: [&str; 4] = ["maps", "links", "cgroups", "pods"];

impl Folder {
    pub(crate) fn new(pin_dir: &Path, abi: u64) -> Self {
        Self {
            root: pin_dir.join(format!("v{abi}")),
        }
    }

    /// All generations under a pin folder, with their numbers.
    pub(crate) fn all(pin_dir: &Path) -> io::Result<Vec<(u64, Self)>> {
        let mut found = Vec::new();
        for name in names_in(pin_dir)? {
            if let Some(abi) = name.strip_prefix('v').and_then(|digits| digits.parse().ok()) {
                found.push((
                    abi,
                    Self {
                        root: pin_dir.join(name),
                    },
                ));
            }
        }
        found.sort_by_key(|(abi, _)| *abi);
        Ok(found)
    }

    /// Names beside the generations' folders that are not `known` either.
    pub(crate) fn strangers(pin_dir: &Path, known: &Path) -> io::Result<Vec<PathBuf>> {
        let folders = Self::all(pin_dir)?;
        let is_stranger = |path: &PathBuf| path != known && !folders.iter().any(|(_, folder)| folder.root == *path);
        let paths = names_in(pin_dir)?.into_iter().map(|name| pin_dir.join(name));
        Ok(paths.filter(is_stranger).collect())
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn create(&self) -> io::Result<()> {
        PARTS
            .iter()
            .try_for_each(|part| fs::create_dir_all(self.root.join(part)))
    }

    pub(crate) fn map(&self, name: &str) -> PathBuf {
        self.root.join("maps").join(name)
    }

    pub(crate) fn link(&self, cgroup: u64, hook: Hook) -> PathBuf {
        self.root.join("links").join(format!("{cgroup}-{}", hook.word()))
    }

    /// Pinned links: cgroup, hook.
    pub(crate) fn links(&self) -> io::Result<Vec<(u64, Hook)>> {
        let names = names_in(&self.root.join("links"))?;
        let mut links: Vec<_> = names.iter().filter_map(|name| parse_link(name)).collect();
        links.sort_unstable();
        Ok(links)
    }

    pub(crate) fn meta(&self) -> Result<Option<Meta>, RecordError> {
        match read_text(&self.root.join(META)) {
            Ok(text) => serde_json::from_str(&text)
                .map(Some)
                .map_err(|error| RecordError::Foreign(error.to_string())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            // Not text, or not a symbolic link.
            Err(error) if matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput) => {
                Err(RecordError::Foreign(error.to_string()))
            }
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) fn set_meta(&self, meta: &Meta) -> io::Result<()> {
        write_text(&self.root.join(META), &serde_json::to_string(meta)?)
    }

    pub(crate) fn set_cgroup(&self, id: u64, path: &Path) -> io::Result<()> {
        replace_link(&self.root.join("cgroups").join(id.to_string()), path)
    }

    pub(crate) fn forget_cgroup(&self, id: u64) -> io::Result<()> {
        remove(&self.root.join("cgroups").join(id.to_string())).map(drop)
    }

    pub(crate) fn cgroups(&self) -> io::Result<Vec<(u64, PathBuf)>> {
        let place = self.root.join("cgroups");
        let ids = names_in(&place)?.into_iter().filter_map(|name| name.parse().ok());
        ids.map(|id: u64| Ok((id, fs::read_link(place.join(id.to_string()))?)))
            .collect()
    }

    pub(crate) fn set_pod(&self, key: &PodKey, index: u32, flags: u32) -> io::Result<()> {
        write_text(&self.pod(key), &format!("{index} {flags}"))
    }

    pub(crate) fn forget_pod(&self, key: &PodKey) -> io::Result<()> {
        remove(&self.pod(key)).map(drop)
    }

    /// Recorded pods: key, index, flags.
    pub(crate) fn pods(&self) -> io::Result<Vec<(PodKey, u32, u32)>> {
        let place = self.root.join("pods");
        let mut pods = Vec::new();
        for name in names_in(&place)? {
            let text = read_text(&place.join(&name))?;
            pods.extend(parse_pod(&name, &text));
        }
        Ok(pods)
    }

    fn pod(&self, key: &PodKey) -> PathBuf {
        self.root.join("pods").join(pod_name(key))
    }

    /// Removes this folder and what we made in it; what is not ours stays and is returned.
    pub(crate) fn remove(&self, removed: &mut Vec<PathBuf>) -> io::Result<Vec<PathBuf>> {
        let mut foreign = Vec::new();
        for part in PARTS {
            let place = self.root.join(part);
            for name in names_in(&place)? {
                let path = place.join(&name);
                let is_ours = is_ours(part, &name);
                if is_ours && remove(&path)? {
                    removed.push(path);
                } else if !is_ours {
                    foreign.push(path);
                }
            }
            remove_folder(&place)?;
        }
        let is_known = |name: &String| PARTS.contains(&name.as_str()) || name == UNFINISHED || name == META;
        let strangers = names_in(&self.root)?.into_iter().filter(|name| !is_known(name));
        foreign.extend(strangers.map(|name| self.root.join(name)));
        if foreign.is_empty() {
            remove(&self.root.join(UNFINISHED))?;
            remove(&self.root.join(META))?;
        }
        if remove_folder(&self.root)? {
            removed.push(self.root.clone());
        }
        Ok(foreign)
    }
}

fn is_ours(part: &str, name: &str) -> bool {
    match part {
        // Another generation may have maps we do not know: its names are capitals, as all of ours.
        "maps" => {
            !name.is_empty()
                && name
                    .bytes()
                    .all(|byte| byte.is_ascii_uppercase() || byte == b'_' || byte.is_ascii_digit())
        }
        "links" => parse_link(name).is_some(),
        "cgroups" => name == UNFINISHED || name.parse::<u64>().is_ok(),
        _ => name == UNFINISHED || parse_pod(name, "0 0").is_some(),
    }
}

fn parse_link(name: &str) -> Option<(u64, Hook)> {
    let (cgroup, hook) = name.split_once('-')?;
    Some((cgroup.parse().ok()?, Hook::from_word(hook)?))
}

fn pod_name(key: &PodKey) -> String {
    let [a, b, c, d] = key.addr.map(u32::from_be);
    format!("{:x}-{a:08x}{b:08x}{c:08x}{d:08x}-{}", key.netns, key.port)
}

fn parse_pod(name: &str, text: &str) -> Option<(PodKey, u32, u32)> {
    let mut parts = name.split('-');
    let netns = u64::from_str_radix(parts.next()?, 16).ok()?;
    let address = parts.next().filter(|text| text.len() == 32)?;
    let port = parts.next()?.parse().ok()?;
    let mut key = PodKey {
        netns,
        port,
        ..PodKey::default()
    };
    for (word, at) in key.addr.iter_mut().zip([0, 8, 16, 24]) {
        *word = u32::from_str_radix(address.get(at..at + 8)?, 16).ok()?.to_be();
    }
    let (index, flags) = text.split_once(' ')?;
    Some((key, index.parse().ok()?, flags.parse().ok()?))
}

fn read_text(path: &Path) -> io::Result<String> {
    let text = fs::read_link(path)?;
    text.into_os_string()
        .into_string()
        .map_err(|_| io::Error::from(io::ErrorKind::InvalidData))
}

fn write_text(path: &Path, text: &str) -> io::Result<()> {
    replace_link(path, Path::new(text))
}

/// A text about to be renamed.
const UNFINISHED: &str = "new";

/// Atomic: the new text is renamed over the old.
fn replace_link(path: &Path, text: &Path) -> io::Result<()> {
    let fresh = path.with_file_name(UNFINISHED);
    remove(&fresh)?;
    symlink(text, &fresh)?;
    fs::rename(&fresh, path)
}

/// Whether it was there.
fn remove(path: &Path) -> io::Result<bool> {
    absent_is_false(fs::remove_file(path))
}

fn remove_folder(path: &Path) -> io::Result<bool> {
    match absent_is_false(fs::remove_dir(path)) {
        Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(false),
        other => other,
    }
}

fn absent_is_false(result: io::Result<()>) -> io::Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn names_in(folder: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    entries
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pods_are_recorded_without_loss() {
        let key = PodKey {
            netns: u64::MAX,
            addr: [0, 0, abi::V4_MAPPED, u32::from_ne_bytes([10, 0, 0, 7])],
            port: 8080,
            ..PodKey::default()
        };
        let name = pod_name(&key);
        assert!(!name.contains('.'), "bpffs reserves dots: {name}");
        assert!(name.ends_with("ffff0a000007-8080"), "{name}");
        assert_eq!(parse_pod(&name, "17 1"), Some((key, 17, 1)));
    }

    #[test]
    fn only_our_own_names_are_ours() {
        assert!(is_ours("maps", "CONNECTIONS"));
        assert!(!is_ours("maps", "something_else"));
        assert!(is_ours("links", "4711-sock_ops"));
        assert!(!is_ours("links", "4711-other"));
        assert!(!is_ours("links", "x"));
        assert!(is_ours("cgroups", "4711"));
        assert!(!is_ours("pods", "readme"));
    }
}
