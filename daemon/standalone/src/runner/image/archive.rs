// SPDX-License-Identifier: Apache-2.0
//! Archives of images: an OCI layout as tar, or what `docker save` writes; compressed or not.
//!
//! Mechanism: its files are put into a folder beside the cache for as long as they are read.
//! Invariants: a name leads nowhere but into that folder; the sum of sizes is bounded; symbolic links are remembered, not
//! made.
//! Depends on: layout, layer, error.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use tar::{Archive, EntryType};

use super::error::ImageError;
use super::form::Image;
use super::{layer, layout};

/// The sum of an archive's files.
const LARGEST: u64 = 16 << 30;
/// An image has few files.
const MOST_FILES: usize = 4096;

/// Whether a file is an archive, by its first bytes.
pub(super) fn is_one(path: &Path) -> Result<bool, ImageError> {
    let unreadable = |source| ImageError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let mut head = Vec::new();
    File::open(path)
        .and_then(|file| file.take(512).read_to_end(&mut head))
        .map_err(unreadable)?;
    let is_packed = head.starts_with(&[0x1f, 0x8b]) || head.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]);
    Ok(is_packed || head.get(257..262) == Some(b"ustar"))
}

/// The image of an archive.
pub(super) fn read(path: &Path, cache: &Path) -> Result<Image, ImageError> {
    let folder = layer::fresh(cache, "archive")?;
    let done = spread(path, &folder).and_then(|links| layout::read(&folder, &links, cache));
    // What stays is only space; the next look at the cache takes it.
    let _ = fs::remove_dir_all(&folder);
    done
}

fn spread(path: &Path, folder: &Path) -> Result<BTreeMap<PathBuf, PathBuf>, ImageError> {
    let shown = path.display().to_string();
    let broken = |error: io::Error| ImageError::malformed(shown.clone(), format!("is no archive: {error}"));
    let file = File::open(path).map_err(broken)?;
    let mut archive = Archive::new(layer::plain(file).map_err(broken)?);
    let mut links = BTreeMap::new();
    let mut left = LARGEST;
    for (count, entry) in archive.entries().map_err(broken)?.enumerate() {
        let mut entry = entry.map_err(broken)?;
        let name = entry.path().map_err(broken)?.into_owned();
        let place = || format!("{shown}: {}", name.display());
        let inner = layer::inner(&name).map_err(|what| ImageError::malformed(place(), what))?;
        left = left
            .checked_sub(entry.size())
            .filter(|_| count < MOST_FILES)
            .ok_or_else(|| ImageError::TooLarge {
                place: shown.clone(),
                limit: "16 GiB or 4 096 files".to_owned(),
            })?;
        match entry.header().entry_type() {
            EntryType::Regular | EntryType::Continuous => {
                let to = folder.join(&inner);
                let written = || -> io::Result<()> {
                    if let Some(parent) = to.parent() {
                        fs::create_dir_all(parent)?;
                    }
                    io::copy(&mut entry, &mut File::create_new(&to)?).map(drop)
                };
                let mut written = written;
                written().map_err(|error| ImageError::malformed(place(), error.to_string()))?;
            }
            EntryType::Symlink | EntryType::Link => {
                let to = entry.link_name().map_err(broken)?.unwrap_or_default().into_owned();
                let from = inner.parent().unwrap_or(Path::new(""));
                let to = layer::followed(from, &to).map_err(|what| ImageError::malformed(place(), what))?;
                links.insert(inner, to);
            }
            _ => {}
        }
    }
    Ok(links)
}
