// SPDX-License-Identifier: Apache-2.0
//! Throw-away certificates of a cluster.
//!
//! Mechanism: one authority and a leaf for each purpose, ECDSA over P-256, good for a month, by openssl.
//! Invariants: keys are readable by their owner only (openssl writes them so; the folder is closed besides).
//! Depends on: openssl.

use crate::process;
use anyhow::{Context, Result};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

const DAYS: &str = "30";
/// Names and addresses under which the loopback is reached.
const LOOPBACK: &str = "subjectAltName=DNS:localhost,DNS:kubernetes.default.svc,IP:127.0.0.1";

/// Makes what a cluster of tier `api` needs in `folder`:
/// `ca`, `apiserver`, `admin` (system:masters), `webhook` (a server on the loopback), each `.crt` and `.key`; `sa.key` and `sa.pub`.
pub(super) fn make(folder: &Path) -> Result<()> {
    key(folder, "ca")?;
    let authority = ["req", "-x509", "-new", "-key", "ca.key", "-subj", "/CN=sluice-test"];
    quietly(openssl(folder).args(authority).args(["-days", DAYS, "-out", "ca.crt"]))?;
    let server = format!("extendedKeyUsage=serverAuth\n{LOOPBACK}\n");
    leaf(folder, "apiserver", "/CN=kube-apiserver", &server)?;
    leaf(folder, "webhook", "/CN=webhook", &server)?;
    let client = "extendedKeyUsage=clientAuth\n";
    leaf(folder, "admin", "/O=system:masters/CN=admin", client)?;
    key(folder, "sa")?;
    quietly(openssl(folder).args(["pkey", "-in", "sa.key", "-pubout", "-out", "sa.pub"]))
}

fn leaf(folder: &Path, name: &str, subject: &str, extensions: &str) -> Result<()> {
    key(folder, name)?;
    let (key, request, certificate) = (format!("{name}.key"), format!("{name}.csr"), format!("{name}.crt"));
    let asks = ["req", "-new", "-key", &key, "-subj", subject, "-out", &request];
    quietly(openssl(folder).args(asks))?;
    let file = format!("{name}.ext");
    fs::write(folder.join(&file), extensions).with_context(|| format!("writing {file}"))?;
    let signs = ["x509", "-req", "-in", &request, "-CA", "ca.crt", "-CAkey", "ca.key"];
    let as_what = [
        "-CAcreateserial",
        "-days",
        DAYS,
        "-extfile",
        &file,
        "-out",
        &certificate,
    ];
    quietly(openssl(folder).args(signs).args(as_what))
}

fn key(folder: &Path, name: &str) -> Result<()> {
    let kind = ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"];
    let file = format!("{name}.key");
    quietly(openssl(folder).arg("genpkey").args(kind).args(["-out", &file]))
}

fn openssl(folder: &Path) -> Command {
    let mut command = Command::new("openssl");
    command.current_dir(folder);
    command
}

fn quietly(command: &mut Command) -> Result<()> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .context("openssl does not start")?;
    process::finish(output.status, command).with_context(|| String::from_utf8_lossy(&output.stderr).trim().to_owned())
}
