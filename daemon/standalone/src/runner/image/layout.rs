// SPDX-License-Identifier: Apache-2.0
//! OCI image layouts, and the manifest of `docker save`: from an index to layers and configuration.
//!
//! Sources: image-spec 1.1 (image-layout, image-index, manifest, config); moby's image/tarexport.
//! Invariants: a blob is used only if it has its digest and size; a layer only if, unpacked, it has its diff id; documents
//! are read up to a bound.
//! Depends on: layer, error.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::error::ImageError;
use super::form::{Config, Files, Image};
use super::layer::{self, hex};

/// Documents are small; a larger one is none.
const LARGEST_DOCUMENT: u64 = 4 << 20;
/// How deep indexes are nested.
const DEEPEST: usize = 4;
/// What overlayfs takes.
const MOST_LAYERS: usize = 120;

#[derive(Debug, Deserialize)]
struct Index {
    manifests: Vec<Descriptor>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    #[serde(default)]
    media_type: String,
    digest: String,
    size: u64,
    platform: Option<Platform>,
}

#[derive(Clone, Debug, Deserialize)]
struct Platform {
    architecture: String,
    os: String,
}

#[derive(Debug, Deserialize)]
struct Manifest {
    config: Descriptor,
    layers: Vec<Descriptor>,
}

/// One image of `manifest.json`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    config: String,
    layers: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Described {
    #[serde(default)]
    config: Option<Config>,
    rootfs: RootFs,
}

#[derive(Debug, Deserialize)]
struct RootFs {
    diff_ids: Vec<String>,
}

/// The image of a layout; `links` are symbolic links that an archive had.
pub(super) fn read(folder: &Path, links: &BTreeMap<PathBuf, PathBuf>, cache: &Path) -> Result<Image, ImageError> {
    let place = Place { folder, links };
    match folder.join("index.json").is_file() {
        true => of_index(&place, cache),
        false => of_saved(&place, cache),
    }
}

struct Place<'a> {
    folder: &'a Path,
    links: &'a BTreeMap<PathBuf, PathBuf>,
}

impl Place<'_> {
    fn path(&self, name: &str) -> Result<PathBuf, ImageError> {
        let inner = layer::inner(Path::new(name)).map_err(|what| ImageError::malformed(name, what))?;
        let inner = self.links.get(&inner).cloned().unwrap_or(inner);
        Ok(self.folder.join(inner))
    }

    fn document(&self, name: &str) -> Result<Vec<u8>, ImageError> {
        let path = self.path(name)?;
        let unreadable = |source| ImageError::Unreadable {
            path: path.clone(),
            source,
        };
        let file = File::open(&path).map_err(unreadable)?;
        let mut bytes = Vec::new();
        file.take(LARGEST_DOCUMENT + 1)
            .read_to_end(&mut bytes)
            .map_err(unreadable)?;
        if bytes.len() as u64 > LARGEST_DOCUMENT {
            return Err(ImageError::TooLarge {
                place: name.to_owned(),
                limit: "4 MiB".to_owned(),
            });
        }
        Ok(bytes)
    }

    fn blob(&self, descriptor: &Descriptor) -> Result<Vec<u8>, ImageError> {
        let bytes = self.document(&blob_name(descriptor)?)?;
        let found = format!("sha256:{}", hex(&Sha256::digest(&bytes)));
        if found != descriptor.digest {
            return Err(ImageError::Digest {
                place: self.folder.display().to_string(),
                found,
                wanted: descriptor.digest.clone(),
            });
        }
        Ok(bytes)
    }
}

fn blob_name(descriptor: &Descriptor) -> Result<String, ImageError> {
    let digest = descriptor.digest.strip_prefix("sha256:");
    let digest = digest.filter(|digest| digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let digest = digest.ok_or_else(|| ImageError::malformed(&*descriptor.digest, "is no sha256 digest"))?;
    Ok(format!("blobs/sha256/{digest}"))
}

fn parsed<'a, T: Deserialize<'a>>(name: &str, bytes: &'a [u8]) -> Result<T, ImageError> {
    serde_json::from_slice(bytes).map_err(|error| ImageError::malformed(name, error.to_string()))
}

fn of_index(place: &Place<'_>, cache: &Path) -> Result<Image, ImageError> {
    let mut index: Index = parsed("index.json", &place.document("index.json")?)?;
    for _ in 0..DEEPEST {
        let chosen = choose(&index.manifests)?;
        let bytes = place.blob(&chosen)?;
        if chosen.media_type.ends_with("image.index.v1+json") || chosen.media_type.ends_with("manifest.list.v2+json") {
            index = parsed(&chosen.digest, &bytes)?;
            continue;
        }
        let manifest: Manifest = parsed(&chosen.digest, &bytes)?;
        let config = place.blob(&manifest.config)?;
        let mut layers = Vec::new();
        for descriptor in &manifest.layers {
            let path = place.path(&blob_name(descriptor)?)?;
            layers.push((path, Some((descriptor.digest.clone(), descriptor.size))));
        }
        return unpacked(&config, &layers, cache);
    }
    Err(ImageError::malformed("index.json", "indexes within indexes, too deep"))
}

/// The manifest for this machine; the only one if none says for what it is.
fn choose(manifests: &[Descriptor]) -> Result<Descriptor, ImageError> {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let fits = |one: &&Descriptor| {
        let platform = one.platform.as_ref();
        platform.is_some_and(|platform| platform.os == "linux" && platform.architecture == architecture)
    };
    let open = |one: &&Descriptor| one.platform.is_none();
    let found = manifests.iter().find(fits).or_else(|| manifests.iter().find(open));
    found
        .cloned()
        .ok_or_else(|| ImageError::malformed("index.json", format!("no image for linux/{architecture} is in it")))
}

fn of_saved(place: &Place<'_>, cache: &Path) -> Result<Image, ImageError> {
    let bytes = place.document("manifest.json")?;
    let saved: Vec<Saved> = parsed("manifest.json", &bytes)?;
    let [saved] = saved.as_slice() else {
        let what = format!("{} images are in it: save one alone", saved.len());
        return Err(ImageError::malformed("manifest.json", what));
    };
    let config = place.document(&saved.config)?;
    let mut layers = Vec::new();
    for name in &saved.layers {
        layers.push((place.path(name)?, None));
    }
    unpacked(&config, &layers, cache)
}

/// A layer's file, and its digest and size where they are known.
type LayerFile = (PathBuf, Option<(String, u64)>);

fn unpacked(config: &[u8], layers: &[LayerFile], cache: &Path) -> Result<Image, ImageError> {
    let described: Described = parsed("the image's configuration", config)?;
    let ids = described.rootfs.diff_ids;
    if ids.len() != layers.len() || layers.len() > MOST_LAYERS {
        let what = format!("{} layers, {} diff ids; at most {MOST_LAYERS}", layers.len(), ids.len());
        return Err(ImageError::malformed("the image's configuration", what));
    }
    let base = cache.join("layers");
    fs::create_dir_all(&base).map_err(|source| ImageError::Cache {
        path: base.clone(),
        source,
    })?;
    let mut names = Vec::new();
    for ((path, blob), id) in layers.iter().zip(&ids) {
        names.push(layer::unpack(path, blob.as_ref(), id, &base)?);
    }
    // The topmost first; an image without layers has an empty root.
    names.reverse();
    if names.is_empty() {
        let empty = base.join("empty");
        fs::create_dir_all(&empty).map_err(|source| ImageError::Cache { path: empty, source })?;
        names.push("empty".to_owned());
    }
    Ok(Image {
        files: Files::Layers { base, names },
        config: described.config.unwrap_or_default(),
        id: format!("sha256:{}", hex(&Sha256::digest(config))),
    })
}
