// SPDX-License-Identifier: Apache-2.0
//! An image, as it is run.
//!
//! Depends on: serde.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// An image that can be run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Image {
    /// Where its files are.
    pub files: Files,
    /// What it says of itself.
    pub config: Config,
    /// `sha256:…` of its configuration, or its path.
    pub id: String,
}

/// Where an image's files are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Files {
    /// The machine's own.
    Machine,
    /// Folders, the topmost first.
    Layers {
        /// Where they are.
        base: PathBuf,
        /// Their names.
        names: Vec<String>,
    },
}

/// What an image says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Config {
    /// The program and its first arguments.
    #[serde(deserialize_with = "or_default")]
    pub entrypoint: Vec<String>,
    /// Further arguments, or the program where there is no entrypoint.
    #[serde(deserialize_with = "or_default")]
    pub cmd: Vec<String>,
    /// `NAME=value`.
    #[serde(deserialize_with = "or_default")]
    pub env: Vec<String>,
    /// `USER[:GROUP]`.
    #[serde(deserialize_with = "or_default")]
    pub user: String,
    /// The working folder.
    #[serde(deserialize_with = "or_default")]
    pub working_dir: String,
}

fn or_default<'de, D: serde::Deserializer<'de>, T: Default + Deserialize<'de>>(from: D) -> Result<T, D::Error> {
    Option::<T>::deserialize(from).map(Option::unwrap_or_default)
}
