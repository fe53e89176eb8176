// SPDX-License-Identifier: Apache-2.0
//! Images, as the controllers ask for them: no registry is asked, but those that nobody can run are refused at once.
//!
//! Problem: a Deployment whose image is missing says so only when its deadline is over, after ten minutes.
//! Mechanism: in place of a digest's look-up the image is opened, so a Revision has Knative's reason and message before
//! anything is made for it.
//! Depends on: control (revision), standalone (runner), failure.

use std::collections::BTreeSet;
use std::path::PathBuf;

use control::revision::images::{Images, Resolved};
use standalone::runner;

use crate::failure::{Exit, Failure};

/// Refuses an image that is given two places: nobody would know which one runs.
pub(super) fn each_once(images: &[(String, PathBuf)]) -> Result<(), Failure> {
    let mut names = BTreeSet::new();
    match images.iter().find(|(name, _)| !names.insert(name)) {
        Some((name, _)) => {
            let message = format!("--image {name} is given more than once");
            Err(Failure::new(Exit::Usage, message, "leave all but one out"))
        }
        None => Ok(()),
    }
}

/// The images of this machine.
pub(super) struct OnDisk(pub(super) runner::Images);

impl Images for OnDisk {
    fn resolve<'a>(&'a self, image: &'a str, _revision: &'a api::revision::Revision) -> Resolved<'a> {
        let (images, name) = (self.0.clone(), image.to_owned());
        Box::pin(async move {
            let opened = tokio::task::spawn_blocking(move || images.refusal(&name)).await;
            match opened {
                // As it is named: there are no digests here.
                Ok(None) => Ok(String::new()),
                Ok(Some(refusal)) => Err(refusal),
                Err(ended) => Err(ended.to_string()),
            }
        })
    }
}
