// SPDX-License-Identifier: Apache-2.0
//! An OCI layout with the sample server and the libraries it needs.
//!
//! Depends on: tar, sha256sum, ldd.

use std::fs;
use std::path::{Path, PathBuf};

use ::tests::rig::run;
use anyhow::{Context, Result};
use serde_json::{Value, json};

/// Makes it in the folder; where it is.
pub(super) fn layout(folder: &Path, program: &Path) -> Result<PathBuf> {
    let (root, layout) = (folder.join("root"), folder.join("layout"));
    let blobs = layout.join("blobs/sha256");
    fs::create_dir_all(&root)?;
    fs::create_dir_all(&blobs)?;
    fs::copy(program, root.join("app"))?;
    for line in run("ldd", &[&program.display().to_string()])?.lines() {
        let Some(path) = line.split_whitespace().find(|word| word.starts_with('/')) else {
            continue;
        };
        let to = root.join(path.trim_start_matches('/'));
        fs::create_dir_all(to.parent().context("a library's folder")?)?;
        fs::copy(path, to)?;
    }
    let tar = folder.join("layer.tar");
    let [root, tar_path] = [&root, &tar].map(|path| path.display().to_string());
    run("tar", &["-C", &root, "-cf", &tar_path, "."])?;
    let layer = blob(&blobs, &tar)?;
    let config = json!({
        "architecture": "amd64", "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]},
        "config": {"Entrypoint": ["/app", "sample"]},
    });
    let config = written(&blobs, &folder.join("config"), &config)?;
    let manifest = json!({"schemaVersion": 2, "config": config, "layers": [layer]});
    let manifest = written(&blobs, &folder.join("manifest"), &manifest)?;
    let index = json!({"schemaVersion": 2, "manifests": [manifest]});
    fs::write(layout.join("index.json"), index.to_string())?;
    fs::write(layout.join("oci-layout"), "{\"imageLayoutVersion\":\"1.0.0\"}")?;
    Ok(layout)
}

fn written(blobs: &Path, place: &Path, content: &Value) -> Result<Value> {
    fs::write(place, content.to_string())?;
    blob(blobs, place)
}

/// Moves a file to where its digest says.
fn blob(blobs: &Path, file: &Path) -> Result<Value> {
    let told = run("sha256sum", &[&file.display().to_string()])?;
    let digest = told.split_whitespace().next().context("no digest")?;
    let size = fs::metadata(file)?.len();
    fs::rename(file, blobs.join(digest))?;
    Ok(json!({"digest": format!("sha256:{digest}"), "size": size, "mediaType": "x"}))
}
