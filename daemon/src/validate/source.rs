// SPDX-License-Identifier: Apache-2.0
//! Where manifests come from: files, folders, standard input.
//!
//! Invariants: at most [`LIMIT`] bytes of a source are read.
//! Depends on: nothing.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Far more than the API server takes of one object.
const LIMIT: u64 = 16 << 20;

/// A file or standard input.
pub(crate) struct Source {
    path: PathBuf,
    name: String,
}

/// Why a source cannot be read.
#[derive(Debug)]
pub(crate) enum Unreadable {
    Io(io::Error),
    TooLarge,
    Binary,
    EmptyFolder,
}

impl std::fmt::Display for Unreadable {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Io(error) => write!(out, "{error}"),
            Self::TooLarge => write!(out, "larger than {} MiB: no manifest", LIMIT >> 20),
            Self::Binary => write!(out, "binary data or not UTF-8: no manifest"),
            Self::EmptyFolder => write!(out, "a folder without *.yaml, *.yml or *.json"),
        }
    }
}

/// Every source, with folders as their manifests in the order of their names.
pub(crate) fn all(paths: &[PathBuf]) -> Vec<Source> {
    paths.iter().flat_map(|path| manifests(path)).map(Source::of).collect()
}

fn manifests(path: &Path) -> Vec<PathBuf> {
    let Ok(entries) = path.read_dir() else {
        return vec![path.to_owned()];
    };
    let mut found: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            path.extension()
                .is_some_and(|ending| ["yaml", "yml", "json"].iter().any(|known| ending == *known))
        })
        .collect();
    found.sort();
    match found.is_empty() {
        true => vec![path.to_owned()],
        false => found,
    }
}

impl Source {
    pub(crate) fn of(path: PathBuf) -> Self {
        let name = match path == Path::new("-") {
            true => "(standard input)".to_owned(),
            false => path.display().to_string(),
        };
        Self { path, name }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn read(&self) -> Result<String, Unreadable> {
        if self.path.is_dir() {
            return Err(Unreadable::EmptyFolder);
        }
        let mut bytes = Vec::new();
        let read = match self.path == Path::new("-") {
            true => io::stdin().lock().take(LIMIT + 1).read_to_end(&mut bytes),
            false => File::open(&self.path).and_then(|file| file.take(LIMIT + 1).read_to_end(&mut bytes)),
        };
        let count = read.map_err(Unreadable::Io)?;
        if count as u64 > LIMIT {
            return Err(Unreadable::TooLarge);
        }
        let text = String::from_utf8(bytes).map_err(|_| Unreadable::Binary)?;
        match text.contains('\0') {
            true => Err(Unreadable::Binary),
            false => Ok(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binary_data_and_endless_files_are_no_manifests() {
        assert!(matches!(
            Source::of("/proc/self/exe".into()).read(),
            Err(Unreadable::TooLarge | Unreadable::Binary)
        ));
        assert!(matches!(
            Source::of("/dev/zero".into()).read(),
            Err(Unreadable::TooLarge)
        ));
        assert!(matches!(
            Source::of("/no/such/file".into()).read(),
            Err(Unreadable::Io(_))
        ));
    }
}
