// SPDX-License-Identifier: Apache-2.0
//! Writes the definition of every kind into a folder: what `cargo xtask crds` runs. No part of the product.

use std::path::PathBuf;
use std::process::ExitCode;

use api::crd;
use api::kind::Kind;

fn main() -> ExitCode {
    let Some(folder) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("crds FOLDER: writes the definition of every kind into the folder");
        return ExitCode::FAILURE;
    };
    for kind in Kind::ALL {
        let file = folder.join(crd::file_name(kind));
        if let Err(error) = std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(&file, crd::text(kind))) {
            eprintln!("{}: {error}", file.display());
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
