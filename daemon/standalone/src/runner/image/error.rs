// SPDX-License-Identifier: Apache-2.0
//! Why an image cannot be run, in words that say what to do.
//!
//! Depends on: nothing.

use std::io;
use std::path::PathBuf;

/// Why an image cannot be run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ImageError {
    /// Nobody said what the name stands for.
    #[error(
        "no image is called \"{name}\" here, and standalone pulls from no registry: start it with --image {name}=PATH, \
         where PATH is an executable, a root folder, an OCI layout or an archive of `docker save`"
    )]
    Unknown {
        /// The name without tag `latest` and without digest.
        name: String,
    },
    /// The path cannot be read.
    #[error("{}: {source}", path.display())]
    Unreadable {
        /// The path.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// What is at the path is no image.
    #[error("{} is neither executable nor a folder nor an archive of an image: chmod +x it, or name another with --image", path.display())]
    NoForm {
        /// The path.
        path: PathBuf,
    },
    /// The image contradicts the format, or itself.
    #[error("{place}: {what}")]
    Malformed {
        /// Which part of the image.
        place: String,
        /// What is wrong with it.
        what: String,
    },
    /// A part is not what its digest says.
    #[error("{place}: the content has the digest {found}, not {wanted}: the image is damaged; write it anew")]
    Digest {
        /// Which part of the image.
        place: String,
        /// What it has.
        found: String,
        /// What it should have.
        wanted: String,
    },
    /// The image is larger than this unpacks.
    #[error("{place} is larger than {limit}: not unpacked")]
    TooLarge {
        /// Which part of the image.
        place: String,
        /// The bound.
        limit: String,
    },
    /// The cache cannot be written to.
    #[error("unpacking to {}: {source}", path.display())]
    Cache {
        /// Where.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl ImageError {
    pub(super) fn unknown(name: &str) -> Self {
        let bare = name.split('@').next().unwrap_or(name);
        Self::Unknown {
            name: bare.strip_suffix(":latest").unwrap_or(bare).to_owned(),
        }
    }

    pub(super) fn malformed(place: impl Into<String>, what: impl Into<String>) -> Self {
        Self::Malformed {
            place: place.into(),
            what: what.into(),
        }
    }
}
