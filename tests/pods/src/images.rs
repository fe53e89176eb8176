// SPDX-License-Identifier: Apache-2.0
//! Each form of an image, made here by hand, and those that mean harm.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use standalone::state::State;
use tar::{Builder, EntryType, Header};

use crate::Case;
use crate::machine::{Machine, PATIENCE, container, pod, settings, waits};

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "images::a_folder_an_oci_layout_its_archive_and_a_docker_archive_run_as_they_say",
        check: forms,
    },
    Case {
        name: "images::an_image_that_lies_or_leads_out_is_refused_and_touches_nothing",
        check: malicious,
    },
    Case {
        name: "images::an_image_that_nobody_named_says_what_to_do",
        check: unknown,
    },
];

/// A file of a layer: name, kind, content or target.
type File = (&'static str, EntryType, Vec<u8>);

/// A runner that knows images.
fn with_images(of: &Machine, images: BTreeMap<String, PathBuf>) -> Result<Machine> {
    let serial: u32 = of
        .settings
        .run
        .to_string_lossy()
        .rsplit('-')
        .next()
        .context("serial")?
        .parse()?;
    let mut settings = settings(std::process::id(), serial + 100)?;
    settings.images.extend(images);
    Machine::with(settings, State::in_memory())
}

/// This program and the libraries that it needs.
fn program() -> Result<Vec<(String, Vec<u8>)>> {
    let me = std::env::current_exe()?;
    let stripped = std::env::temp_dir().join(format!("sluice-app-{}", std::process::id()));
    let done = Command::new("strip").arg("-o").args([&stripped, &me]).status()?;
    ensure!(done.success(), "strip");
    let mut files = vec![("app".to_owned(), fs::read(&stripped)?)];
    fs::remove_file(stripped)?;
    let libraries = Command::new("ldd").arg(&me).output()?.stdout;
    for line in String::from_utf8(libraries)?.lines() {
        if let Some(path) = line.split_whitespace().find(|word| word.starts_with('/')) {
            files.push((path.trim_start_matches('/').to_owned(), fs::read(path)?));
        }
    }
    Ok(files)
}

fn add(tar: &mut Builder<Vec<u8>>, name: &str, kind: EntryType, content: &[u8]) -> Result<()> {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(0o755);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(1_000_000_000);
    let is_link = matches!(kind, EntryType::Symlink | EntryType::Link);
    header.set_size(if is_link { 0 } else { content.len() as u64 });
    // By hand: what means harm is refused by the builder already.
    let old = header.as_old_mut();
    old.name[..name.len()].copy_from_slice(name.as_bytes());
    if is_link {
        old.linkname[..content.len()].copy_from_slice(content);
    }
    header.set_cksum();
    tar.append(&header, if is_link { &[] } else { content })?;
    Ok(())
}

fn layer(files: &[File]) -> Result<Vec<u8>> {
    let mut tar = Builder::new(Vec::new());
    for (name, kind, content) in files {
        add(&mut tar, name, *kind, content)?;
    }
    Ok(tar.into_inner()?)
}

/// The program and three files, of which the second layer takes two away.
fn layers() -> Result<[Vec<u8>; 2]> {
    let mut tar = Builder::new(Vec::new());
    for (name, content) in program()? {
        add(&mut tar, &name, EntryType::Regular, &content)?;
    }
    for name in ["removed", "dir/hidden", "kept"] {
        add(&mut tar, name, EntryType::Regular, name.as_bytes())?;
    }
    add(
        &mut tar,
        "etc/passwd",
        EntryType::Regular,
        b"web:x:77:88::/home/web:/bin/sh\n",
    )?;
    add(&mut tar, "same", EntryType::Link, b"kept")?;
    add(&mut tar, "abs", EntryType::Symlink, b"/etc")?;
    let above = layer(&[
        (".wh.removed", EntryType::Regular, Vec::new()),
        ("dir/.wh..wh..opq", EntryType::Regular, Vec::new()),
        ("dir/new", EntryType::Regular, b"new".to_vec()),
    ])?;
    Ok([tar.into_inner()?, above])
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn config(layers: &[Vec<u8>]) -> Vec<u8> {
    let ids: Vec<String> = layers.iter().map(|layer| format!("sha256:{}", digest(layer))).collect();
    let config = json!({
        "architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": ids},
        "config": {"Entrypoint": ["/app"], "Cmd": ["app"], "Env": ["TARGET=image"], "User": "web", "WorkingDir": "/dir"},
    });
    config.to_string().into_bytes()
}

fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?)
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
}

/// An OCI layout of layers and their packed forms.
fn layout(folder: &Path, layers: &[Vec<u8>], packed: &[Vec<u8>]) -> Result<()> {
    let blobs = folder.join("blobs/sha256");
    fs::create_dir_all(&blobs)?;
    let put = |bytes: &[u8]| -> Result<Value> {
        let digest = digest(bytes);
        fs::write(blobs.join(&digest), bytes)?;
        Ok(json!({"digest": format!("sha256:{digest}"), "size": bytes.len(), "mediaType": "x"}))
    };
    let config = put(&config(layers))?;
    let layers = packed.iter().map(|bytes| put(bytes)).collect::<Result<Vec<_>>>()?;
    let manifest = json!({"schemaVersion": 2, "config": config, "layers": layers}).to_string();
    let manifest = put(manifest.as_bytes())?;
    fs::write(
        folder.join("index.json"),
        json!({"schemaVersion": 2, "manifests": [manifest]}).to_string(),
    )?;
    fs::write(folder.join("oci-layout"), "{\"imageLayoutVersion\":\"1.0.0\"}")?;
    Ok(())
}

fn archive_of(folder: &Path, to: &Path) -> Result<()> {
    let mut tar = Builder::new(fs::File::create(to)?);
    tar.append_dir_all(".", folder)?;
    Ok(tar.into_inner()?.sync_all()?)
}

/// What `docker save` writes.
fn saved(layers: &[Vec<u8>], to: &Path) -> Result<()> {
    let mut tar = Builder::new(Vec::new());
    let config = config(layers);
    let name = format!("{}.json", digest(&config));
    add(&mut tar, &name, EntryType::Regular, &config)?;
    let mut names = Vec::new();
    for (index, layer) in layers.iter().enumerate() {
        names.push(format!("l{index}/layer.tar"));
        add(&mut tar, &names[index], EntryType::Regular, layer)?;
    }
    let manifest = json!([{"Config": name, "RepoTags": ["x:latest"], "Layers": names}]).to_string();
    add(&mut tar, "manifest.json", EntryType::Regular, manifest.as_bytes())?;
    fs::write(to, tar.into_inner()?)?;
    Ok(())
}

fn forms(machine: &Machine) -> Result<()> {
    let place = |name: &str| machine.folder.join(name);
    let layers = layers()?;
    let packed = [gzip(&layers[0])?, zstd(&layers[1])];
    layout(&place("layout"), &layers, &packed)?;
    archive_of(&place("layout"), &place("layout.tar"))?;
    saved(&layers, &place("saved.tar"))?;
    let root = place("root");
    for (name, content) in program()? {
        let path = root.join(name);
        fs::create_dir_all(path.parent().context("parent")?)?;
        fs::write(&path, content)?;
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    }
    let names = ["layout", "layout.tar", "saved.tar", "root"];
    let own = with_images(machine, names.map(|name| (name.to_owned(), place(name))).into())?;
    let of_image = |name: &str, more: Value| {
        let mut pod = pod(&name.replace('.', "-"), &[], more);
        let container = &mut pod["spec"]["containers"][0];
        container["image"] = format!("docker.io/library/{name}:latest").into();
        container.as_object_mut().unwrap().remove("args");
        pod
    };
    for name in &names[..3] {
        own.create(of_image(name, json!({})))?;
    }
    own.create({
        let mut pod = of_image("root", json!({}));
        pod["spec"]["containers"][0]["command"] = json!(["/app", "app"]);
        pod
    })?;
    for name in ["layout", "layout-tar", "saved-tar"] {
        own.ready(name)?;
        ensure!(own.get(name, "hello")? == "hello image", "{name}: environment");
        let who = own.get(name, "who")?;
        ensure!(
            who.starts_with("uid=77 gid=88") && who.contains("cwd=/dir home=/home/web"),
            "{name}: {who}"
        );
        for (path, is_there) in [
            ("/removed", false),
            ("/dir/hidden", false),
            ("/dir/new", true),
            ("/same", true),
            ("/proc/self/stat", true),
        ] {
            ensure!(
                own.get(name, &format!("file?{path}")).is_ok() == is_there,
                "{name}: {path}"
            );
        }
        ensure!(
            own.get(name, "file?/etc/resolv.conf")?.contains("ndots:5"),
            "{name}: names"
        );
        ensure!(
            own.get(name, &format!("file?{}", machine.folder.join("saved.tar").display()))
                .is_err(),
            "the machine's files"
        );
    }
    own.ready("root")?;
    ensure!(own.get("root", "write?/written")? == "written", "it may write");
    ensure!(!root.join("written").exists(), "into the folder of the image");
    own.end()
}

/// A saved image whose one layer has these files.
fn harmful(to: &Path, files: &[File]) -> Result<()> {
    saved(&[layer(files)?], to)
}

fn malicious(machine: &Machine) -> Result<()> {
    let place = |name: &str| machine.folder.join(name);
    let victim = place("victim");
    fs::create_dir_all(&victim)?;
    let victim_name = victim.display().to_string().into_bytes();
    let regular = |name| (name, EntryType::Regular, b"evil".to_vec());
    harmful(&place("up"), &[regular("../../../../../evil")])?;
    harmful(
        &place("link"),
        &[("out", EntryType::Symlink, victim_name), regular("out/evil")],
    )?;
    harmful(
        &place("hard"),
        &[("copy", EntryType::Link, b"../../../etc/shadow".to_vec())],
    )?;
    harmful(&place("away"), &[regular(".wh...")])?;
    // A layer that is not what the configuration says.
    let good = layer(&[regular("good")])?;
    layout(
        &place("lies"),
        &[layer(&[regular("other")])?],
        std::slice::from_ref(&good),
    )?;
    // A blob that is not what its name says.
    layout(
        &place("changed"),
        std::slice::from_ref(&good),
        std::slice::from_ref(&good),
    )?;
    fs::write(
        place("changed").join("blobs/sha256").join(digest(&good)),
        b"something else",
    )?;
    // An archive that leads out by itself, and one that is cut off.
    let mut tar = Builder::new(Vec::new());
    add(&mut tar, "../victim/evil", EntryType::Regular, b"evil")?;
    fs::write(place("outer"), tar.into_inner()?)?;
    harmful(&place("whole"), &[regular("good")])?;
    let whole = fs::read(place("whole"))?;
    fs::write(place("cut"), &whole[..1400])?;
    fs::write(place("text"), "no image")?;
    let expected = [
        ("up", "leads out of the image"),
        ("link", "is no folder, but something is put into it"),
        ("hard", "leads out of the image"),
        ("away", "a removal without a name"),
        ("lies", "the content has the digest"),
        ("changed", "the content has the digest"),
        ("outer", "leads out of the image"),
        ("cut", ""),
        ("text", "chmod +x"),
    ];
    let own = with_images(machine, expected.map(|(name, _)| (name.to_owned(), place(name))).into())?;
    for (name, _) in expected {
        own.create(pod(name, &[], json!({"image": name})))?;
    }
    for (name, words) in expected {
        let found = own.wait(name, "refused", |pod| {
            waits(pod) == "ErrImagePull" || waits(pod) == "ImagePullBackOff"
        })?;
        let message = container(&found)["state"]["waiting"]["message"]
            .as_str()
            .unwrap_or_default();
        ensure!(message.contains(words), "{name}: {message}");
    }
    ensure!(fs::read_dir(&victim)?.next().is_none(), "the victim was written to");
    // They are tried again and again while there are pods; what is being tried at the last one's end is done soon.
    for (name, _) in expected {
        own.delete(name, Some(0))?;
        own.gone(name)?;
    }
    let until = Instant::now() + PATIENCE;
    loop {
        let left: Vec<_> = walk(&own.settings.cache)
            .into_iter()
            .filter(|path| path.is_file())
            .collect();
        if left.is_empty() {
            break;
        }
        ensure!(Instant::now() < until, "refused layers stay in the cache: {left:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
    own.end()
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .flat_map(|entry| {
            if entry.path().is_dir() {
                walk(&entry.path())
            } else {
                vec![entry.path()]
            }
        })
        .collect()
}

fn unknown(machine: &Machine) -> Result<()> {
    machine.create(pod("stranger", &[], json!({"image": "ghcr.io/somebody/app:v1"})))?;
    let found = machine.wait("stranger", "held", |pod| waits(pod) == "ErrImagePull")?;
    let message = container(&found)["state"]["waiting"]["message"]
        .as_str()
        .unwrap_or_default();
    ensure!(message.contains("--image ghcr.io/somebody/app:v1=PATH"), "{message}");
    machine.wait("stranger", "held longer", |pod| waits(pod) == "ImagePullBackOff")?;
    ensure!(
        machine
            .events("stranger")
            .iter()
            .any(|event| event.starts_with("Failed: Failed to pull image")),
        "no event"
    );
    Ok(())
}
