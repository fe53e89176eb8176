// SPDX-License-Identifier: Apache-2.0
//! A certificate for every host of the suite, made anew for each gateway.
//!
//! Depends on: nothing.

use std::path::{Path, PathBuf};

/// `tls.crt` and `tls.key` in a folder.
pub(crate) struct Certificate {
    /// Where clients find whom to believe.
    pub(crate) file: PathBuf,
}

impl Certificate {
    pub(crate) fn make(folder: &Path) -> Self {
        let names = ["app.test", "grpc.test", "127.0.0.1"].map(str::to_owned);
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        let file = folder.join("tls.crt");
        std::fs::write(&file, made.cert.pem()).unwrap();
        std::fs::write(folder.join("tls.key"), made.signing_key.serialize_pem()).unwrap();
        Self { file }
    }
}
