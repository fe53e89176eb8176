// SPDX-License-Identifier: Apache-2.0
//! Unpacking a layer into a folder that overlayfs takes.
//!
//! Problem: a layer comes from anybody and is unpacked by root.
//! Mechanism: every name is taken apart; parents are looked at, never followed; removals (`.wh.`) become overlayfs's own;
//! digests are taken while reading, and the folder gets its name only when they are right.
//! Invariants: nothing is written outside the layer's folder; a folder with a layer's name is whole.
//! Depends on: error.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::{PermissionsExt as _, lchown, symlink};
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use nix::sys::stat::{Mode, SFlag, mknod};
use sha2::{Digest as _, Sha256};
use tar::{Archive, Entry, EntryType};

use super::error::ImageError;

/// A layer, unpacked.
const LARGEST: u64 = 16 << 30;
/// Names in a layer.
const MOST_NAMES: usize = 1 << 20;
const REMOVED: &str = ".wh.";
const OPAQUE: &str = ".wh..wh..opq";

/// Unpacks a layer unless it is there, and answers the name of its folder below `base`.
pub(super) fn unpack(path: &Path, blob: Option<&(String, u64)>, id: &str, base: &Path) -> Result<String, ImageError> {
    let name = id
        .strip_prefix("sha256:")
        .filter(|hex| hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()));
    // Short, since the names of all layers of an image must fit into a page.
    let name = name
        .and_then(|name| name.get(..24))
        .ok_or_else(|| ImageError::malformed(id, "is no diff id"))?;
    if base.join(name).is_dir() {
        return Ok(name.to_owned());
    }
    let folder = fresh(base, "new")?;
    let done = read(path, blob, id, &folder);
    let done = done.and_then(|()| {
        fs::rename(&folder, base.join(name)).map_err(|source| ImageError::Cache {
            path: base.to_owned(),
            source,
        })
    });
    if done.is_err() {
        let _ = fs::remove_dir_all(&folder);
    }
    done.map(|()| name.to_owned())
}

fn read(path: &Path, blob: Option<&(String, u64)>, id: &str, folder: &Path) -> Result<(), ImageError> {
    let place = path.display().to_string();
    let broken =
        |error: io::Error| ImageError::malformed(place.clone(), format!("the layer cannot be unpacked: {error}"));
    let file = File::open(path).map_err(|source| ImageError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    if let Some((wanted, size)) = blob {
        let mut all = Hashed::new(&file);
        let read = io::copy(&mut all, &mut io::sink()).map_err(broken)?;
        let found = all.digest();
        if found != *wanted || read != *size {
            return Err(ImageError::Digest {
                place,
                found,
                wanted: wanted.clone(),
            });
        }
    }
    let file = File::open(path).map_err(broken)?;
    let mut content = Hashed::new(plain(file).map_err(broken)?.take(LARGEST));
    extract(&mut content, folder).map_err(broken)?;
    io::copy(&mut content, &mut io::sink()).map_err(broken)?;
    if content.inner.limit() == 0 {
        return Err(ImageError::TooLarge {
            place,
            limit: "16 GiB".to_owned(),
        });
    }
    let found = content.digest();
    if found != id {
        return Err(ImageError::Digest {
            place,
            found,
            wanted: id.to_owned(),
        });
    }
    Ok(())
}

fn extract(content: impl Read, folder: &Path) -> io::Result<()> {
    let mut archive = Archive::new(content);
    let mut folders = Vec::new();
    for (count, entry) in archive.entries()?.enumerate() {
        let mut entry = entry?;
        if count > MOST_NAMES {
            return Err(io::Error::other("it has more than a million names"));
        }
        let name = entry.path()?.into_owned();
        let about = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", name.display()));
        let inner = inner(&name).map_err(|what| about(io::Error::other(what)))?;
        if let Some(made) = one(&mut entry, &inner, folder).map_err(about)? {
            folders.push(made);
        }
    }
    // A folder's time changes with what is put into it, its mode may forbid it.
    for (path, mode, time) in folders.into_iter().rev() {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
        File::open(&path)?.set_modified(UNIX_EPOCH + Duration::from_secs(time))?;
    }
    Ok(())
}

/// A folder whose mode and time are set at the end.
type Made = (PathBuf, u32, u64);

fn one(entry: &mut Entry<'_, impl Read>, inner: &Path, folder: &Path) -> io::Result<Option<Made>> {
    let Some(file_name) = inner.file_name().and_then(|name| name.to_str()) else {
        return Ok(None);
    };
    let parent = reach(folder, inner.parent().unwrap_or(Path::new("")))?;
    if file_name == OPAQUE {
        rustix::fs::setxattr(&parent, "trusted.overlay.opaque", b"y", rustix::fs::XattrFlags::empty())?;
        return Ok(None);
    }
    if let Some(removed) = file_name.strip_prefix(REMOVED) {
        if removed.is_empty() || removed == "." || removed == ".." {
            return Err(io::Error::other("a removal without a name"));
        }
        let path = parent.join(removed);
        clear(&path)?;
        mknod(&path, SFlag::S_IFCHR, Mode::empty(), 0)?;
        return Ok(None);
    }
    let path = parent.join(file_name);
    make(entry, &path, folder)
}

fn make(entry: &mut Entry<'_, impl Read>, path: &Path, folder: &Path) -> io::Result<Option<Made>> {
    let header = entry.header();
    let (mode, time) = (header.mode()? & 0o7777, header.mtime().unwrap_or_default());
    let id = |id: u64| u32::try_from(id).map_err(|_| io::Error::other("an owner beyond 32 bits"));
    let (uid, gid) = (id(header.uid()?)?, id(header.gid()?)?);
    let kind = header.entry_type();
    if kind != EntryType::Directory || !is_folder(path) {
        clear(path)?;
    }
    match kind {
        EntryType::Directory => {
            if !is_folder(path) {
                fs::create_dir(path)?;
            }
            lchown(path, Some(uid), Some(gid))?;
            return Ok(Some((path.to_owned(), mode, time)));
        }
        EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
            let mut file = File::create_new(path)?;
            io::copy(entry, &mut file)?;
            // Owner first: a change of owner takes the set-user-id bit away.
            lchown(path, Some(uid), Some(gid))?;
            file.set_permissions(fs::Permissions::from_mode(mode))?;
            file.set_modified(UNIX_EPOCH + Duration::from_secs(time))?;
        }
        EntryType::Symlink => {
            let to = entry
                .link_name()?
                .ok_or_else(|| io::Error::other("a link to nowhere"))?;
            symlink(to, path)?;
            lchown(path, Some(uid), Some(gid))?;
        }
        EntryType::Link => {
            let to = entry
                .link_name()?
                .ok_or_else(|| io::Error::other("a link to nowhere"))?;
            let to = inner(&to).map_err(io::Error::other)?;
            let name = to.file_name().ok_or_else(|| io::Error::other("a link to a folder"))?;
            fs::hard_link(reach(folder, to.parent().unwrap_or(Path::new("")))?.join(name), path)?;
        }
        EntryType::Fifo => {
            mknod(path, SFlag::S_IFIFO, Mode::from_bits_truncate(mode), 0)?;
            lchown(path, Some(uid), Some(gid))?;
        }
        // Containers have the devices that they are given.
        _ => {}
    }
    Ok(None)
}

/// The folder at a path inside; made where it is absent, refused where something else stands in the way.
fn reach(folder: &Path, inner: &Path) -> io::Result<PathBuf> {
    let mut path = folder.to_owned();
    for part in inner.components() {
        path.push(part);
        match fs::symlink_metadata(&path) {
            Ok(found) if found.is_dir() => {}
            Ok(_) => {
                let what = format!("{} is no folder, but something is put into it", inner.display());
                return Err(io::Error::other(what));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => fs::create_dir(&path)?,
            Err(error) => return Err(error),
        }
    }
    Ok(path)
}

fn is_folder(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.is_dir())
}

/// Takes away what an earlier entry of the same layer put there.
fn clear(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// A name of an archive as a path that stays inside.
///
/// # Errors
/// What is wrong with it: it leads upwards.
pub(super) fn inner(name: &Path) -> Result<PathBuf, String> {
    let mut inner = PathBuf::new();
    for part in name.components() {
        match part {
            Component::Normal(part) => inner.push(part),
            Component::CurDir | Component::RootDir => {}
            Component::ParentDir | Component::Prefix(_) => {
                return Err(format!("the name {} leads out of the image", name.display()));
            }
        }
    }
    Ok(inner)
}

/// Where a link in a folder of an archive leads.
///
/// # Errors
/// What is wrong with it: it leads out.
pub(super) fn followed(from: &Path, to: &Path) -> Result<PathBuf, String> {
    let mut path = from.to_owned();
    for part in to.components() {
        match part {
            Component::Normal(part) => path.push(part),
            Component::CurDir => {}
            Component::ParentDir if path.pop() => {}
            _ => return Err(format!("the link to {} leads out of the archive", to.display())),
        }
    }
    Ok(path)
}

/// A new folder with a name that nobody has.
pub(super) fn fresh(base: &Path, what: &str) -> Result<PathBuf, ImageError> {
    static SERIAL: AtomicU32 = AtomicU32::new(0);
    let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
    let path = base.join(format!(".{what}-{}-{serial}", std::process::id()));
    let _ = fs::remove_dir_all(&path);
    let made = fs::create_dir_all(&path);
    made.map_err(|source| ImageError::Cache {
        path: path.clone(),
        source,
    })?;
    Ok(path)
}

/// The content of a file that may be packed by gzip or zstd.
pub(super) fn plain(mut file: File) -> io::Result<Box<dyn Read>> {
    let mut head = [0; 4];
    let count = file.read(&mut head)?;
    io::Seek::rewind(&mut file)?;
    let file = io::BufReader::with_capacity(1 << 16, file);
    Ok(match head.get(..count).unwrap_or_default() {
        [0x1f, 0x8b, ..] => Box::new(flate2::bufread::MultiGzDecoder::new(file)),
        [0x28, 0xb5, 0x2f, 0xfd] => Box::new(ruzstd::decoding::StreamingDecoder::new(file).map_err(io::Error::other)?),
        _ => Box::new(file),
    })
}

/// Takes the digest of what passes.
struct Hashed<R> {
    inner: R,
    hash: Sha256,
}

impl<R> Hashed<R> {
    fn new(inner: R) -> Self {
        Self {
            inner,
            hash: Sha256::new(),
        }
    }

    fn digest(&self) -> String {
        format!("sha256:{}", hex(&self.hash.clone().finalize()))
    }
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hash.update(buffer.get(..count).unwrap_or_default());
        Ok(count)
    }
}

/// Bytes as digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
