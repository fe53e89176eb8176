// SPDX-License-Identifier: Apache-2.0
//! Which image exactly a container runs: control-plane spec 4.4, digest resolution.
//!
//! Mechanism: a seam, since a registry is asked in a cluster, and nobody on a machine that brings its own images.
//! Depends on: api (revision).

use std::future::Future;
use std::pin::Pin;

use api::revision::Revision;

/// The digest of an image, or why there is none.
pub type Resolved<'a> = Pin<Box<dyn Future<Output = Result<String, String>> + Send + 'a>>;

/// Knows images by digest.
pub trait Images: Send + Sync + 'static {
    /// The image by its digest, or the empty text where it shall be taken as it is named.
    ///
    /// # Errors
    /// Why it cannot be fetched: the cause alone, without the image's name.
    fn resolve<'a>(&'a self, image: &'a str, revision: &'a Revision) -> Resolved<'a>;
}

/// Takes every image as it is named.
#[derive(Clone, Copy, Debug, Default)]
pub struct AsNamed;

impl Images for AsNamed {
    fn resolve<'a>(&'a self, _image: &'a str, _revision: &'a Revision) -> Resolved<'a> {
        Box::pin(std::future::ready(Ok(String::new())))
    }
}
