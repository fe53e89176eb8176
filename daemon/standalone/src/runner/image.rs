// SPDX-License-Identifier: Apache-2.0
//! What an image's name stands for on this machine.
//!
//! Problem: standalone has no registry; people have executables, folders, and archives that other tools wrote.
//! Mechanism: `--image NAME=PATH`; what is at the path decides: an executable runs on the machine's own files, a folder is
//! a root, an OCI layout (folder or archive) or an archive of `docker save` is unpacked layer by layer into a cache.
//! Invariants: what is run has been checked against its digests; nothing outside the cache is written.
//! Depends on: image::layout, image::archive, image::layer.

mod archive;
mod error;
mod form;
mod layer;
mod layout;
mod reference;

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

pub(super) use error::ImageError;
pub(super) use form::{Config, Files, Image};

/// The images of a runner; clones are the same.
#[derive(Clone, Debug)]
pub struct Images {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    named: BTreeMap<String, PathBuf>,
    cache: PathBuf,
    known: Mutex<HashMap<PathBuf, (Stamp, Image)>>,
    /// One is unpacked at a time.
    unpacking: Mutex<()>,
}

/// Tells whether a file is still the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    length: u64,
    changed: Option<SystemTime>,
}

impl Images {
    /// Images by name, and where they are unpacked.
    #[must_use]
    pub(super) fn new(named: BTreeMap<String, PathBuf>, cache: PathBuf) -> Self {
        Self {
            shared: Arc::new(Shared {
                named,
                cache,
                known: Mutex::default(),
                unpacking: Mutex::default(),
            }),
        }
    }

    /// The image with a name, if it is known and has not changed: without a look at its layers.
    #[must_use]
    pub(super) fn known(&self, name: &str) -> Option<Image> {
        let path = reference::find(&self.shared.named, name)?;
        let stamp = stamp(path).ok()?;
        let known = self.shared.known.lock().unwrap_or_else(PoisonError::into_inner);
        known
            .get(path)
            .filter(|(of, _)| *of == stamp)
            .map(|(_, image)| image.clone())
    }

    /// The image with a name, unpacked if need be, which takes time.
    ///
    /// # Errors
    /// If no path is given for the name, or what is there cannot be run.
    pub(super) fn open(&self, name: &str) -> Result<Image, ImageError> {
        let _one = self.shared.unpacking.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(image) = self.known(name) {
            return Ok(image);
        }
        let path = reference::find(&self.shared.named, name).ok_or_else(|| ImageError::unknown(name))?;
        let gone = |source| ImageError::Unreadable {
            path: path.clone(),
            source,
        };
        let stamp = stamp(path).map_err(gone)?;
        let image = self.read(path)?;
        let mut known = self.shared.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(path.clone(), (stamp, image.clone()));
        Ok(image)
    }

    /// Why containers of the image with a name cannot be run, in words that say what to do; none if they can. It is
    /// unpacked if need be, which takes time.
    #[must_use]
    pub fn refusal(&self, name: &str) -> Option<String> {
        self.open(name).err().map(|error| error.to_string())
    }

    fn read(&self, path: &Path) -> Result<Image, ImageError> {
        let cache = &self.shared.cache;
        if path.is_dir() {
            return match path.join("oci-layout").is_file() {
                true => layout::read(path, &BTreeMap::new(), cache),
                false => Ok(folder(path)),
            };
        }
        if archive::is_one(path)? {
            return archive::read(path, cache);
        }
        let mode = fs::metadata(path)
            .map(|found| found.permissions().mode())
            .unwrap_or_default();
        match mode & 0o111 {
            0 => Err(ImageError::NoForm { path: path.to_owned() }),
            _ => Ok(executable(path)),
        }
    }
}

/// A folder is a root; it says nothing of what to run.
fn folder(path: &Path) -> Image {
    Image {
        files: Files::Layers {
            base: path.to_owned(),
            names: vec![".".to_owned()],
        },
        config: Config::default(),
        id: path.display().to_string(),
    }
}

fn executable(path: &Path) -> Image {
    let config = Config {
        entrypoint: vec![path.display().to_string()],
        ..Config::default()
    };
    Image {
        files: Files::Machine,
        config,
        id: path.display().to_string(),
    }
}

fn stamp(path: &Path) -> std::io::Result<Stamp> {
    let index = path.join("index.json");
    let found = fs::metadata(&index).or_else(|_| fs::metadata(path))?;
    Ok(Stamp {
        length: found.len(),
        changed: found.modified().ok(),
    })
}
