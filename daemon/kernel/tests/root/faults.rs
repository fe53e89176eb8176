// SPDX-License-Identifier: Apache-2.0
//! What is missing or wrong is named, with advice, and nothing stays attached.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
    thread,
};

use kernel::{AttachError, Hooks, Kernel, ObjectError, OpenError, PodId, PodKey, Settings, TrackError};

use crate::rig::Rig;

const COUNT: Hooks = Hooks {
    account: true,
    redirect: false,
};

fn refused(settings: Settings) -> OpenError {
    let pin_dir = settings.pin_dir.clone();
    let existed = pin_dir.exists();
    let error = Kernel::open(settings).expect_err("opened");
    assert!(!error.advice().is_empty());
    assert_eq!(pin_dir.exists(), existed, "nothing is left behind by: {error}");
    error
}

#[test]
fn a_pin_folder_elsewhere_is_refused() {
    let Some(_rig) = Rig::new() else { return };
    let error = refused(Settings::at(std::env::temp_dir().join("sluice-not-bpffs")));
    assert!(matches!(error, OpenError::NoBpffs { .. }), "{error:?}");
    assert!(error.advice().contains("mount -t bpf"));
}

#[test]
fn a_cgroup_root_elsewhere_is_refused() {
    let Some(rig) = Rig::new() else { return };
    let error = refused(Settings {
        cgroup_root: Some(PathBuf::from("/tmp")),
        ..rig.settings()
    });
    assert!(matches!(error, OpenError::NoCgroup2 { root: Some(_) }), "{error:?}");
    let error = refused(Settings {
        proc_root: PathBuf::from("/nowhere"),
        ..rig.settings()
    });
    assert!(matches!(error, OpenError::NoCgroup2 { root: None }), "{error:?}");
}

#[test]
fn an_object_that_is_none_is_refused() {
    let Some(rig) = Rig::new() else { return };
    let object = rig.pins.with_extension("o");
    fs::write(&object, b"not an object").unwrap();
    let error = refused(Settings {
        object: Some(object.clone()),
        ..rig.settings()
    });
    fs::remove_file(&object).unwrap();
    assert!(
        matches!(error, OpenError::Object(ObjectError::Unreadable { .. })),
        "{error:?}"
    );
    let error = refused(Settings {
        object: Some(object),
        ..rig.settings()
    });
    assert!(
        matches!(error, OpenError::Object(ObjectError::Missing { .. })),
        "{error:?}"
    );
}

#[test]
fn an_object_of_other_layouts_is_refused() {
    let Some(rig) = Rig::with_object() else { return };
    let Some(object) = rig.changed_object(abi::names::GLOBAL_FINGERPRINT) else {
        return;
    };
    let error = refused(Settings {
        object: Some(object),
        ..rig.settings()
    });
    assert!(
        matches!(error, OpenError::Object(ObjectError::Mismatch { .. })),
        "{error:?}"
    );
}

#[test]
fn pins_of_other_layouts_under_our_number_are_refused() {
    let Some(rig) = Rig::with_object() else { return };
    drop(rig.open());
    let meta = rig.settings().pin_dir.join(format!("v{}/meta", abi::ABI));
    let text = fs::read_link(&meta).unwrap().into_os_string().into_string().unwrap();
    let (before, state) = text.split_once("\"state\":\"").unwrap();
    let fingerprint = text.replace(&format!("{:016x}", abi::FINGERPRINT), "0123456789abcdef");
    let state = format!("{before}\"state\":\"0123456789abcdef{}", &state[16..]);
    let tier = text.replace("\"exact\"", "\"connections\"");
    for (changed, word) in [
        (fingerprint, "0123456789abcdef"),
        (state, "state in its sockets"),
        (tier, "tier"),
    ] {
        fs::remove_file(&meta).unwrap();
        symlink(changed, &meta).unwrap();
        let error = refused(rig.settings());
        assert!(
            matches!(&error, OpenError::ForeignState { why, .. } if why.contains(word)),
            "{error:?}"
        );
        assert!(error.advice().contains("sluice cleanup"));
    }
    fs::remove_file(&meta).unwrap();
    symlink(text, &meta).unwrap();
    drop(rig.open());
}

#[test]
fn an_object_whose_state_in_sockets_has_another_layout_is_refused() {
    let Some(rig) = Rig::with_object() else { return };
    let Some(object) = rig.changed_object("SLUICE_STATE") else {
        return;
    };
    let other = || Settings {
        object: Some(object.clone()),
        ..rig.settings()
    };
    let is_about_state = |error: &OpenError| matches!(error, OpenError::ForeignState { why, .. } if why.contains("state in its sockets"));
    drop(rig.open());
    let error = refused(other());
    assert!(is_about_state(&error), "{error:?}");
    kernel::cleanup(&rig.settings()).unwrap();
    drop(Kernel::open(other()).unwrap());
    drop(Kernel::open(other()).unwrap());
    let error = refused(rig.settings());
    assert!(is_about_state(&error), "{error:?}");
}

#[test]
fn records_that_no_sluice_wrote_are_refused_and_left() {
    let Some(rig) = Rig::with_object() else { return };
    drop(rig.open());
    for number in [abi::ABI, 77] {
        let folder = rig.settings().pin_dir.join(format!("v{number}"));
        fs::create_dir_all(&folder).unwrap();
        let meta = folder.join("meta");
        let ours = fs::read_link(&meta);
        for garbage in ["what is this", "{}", "[1]", "{\"abi\":\"1\"}"] {
            let _ = fs::remove_file(&meta);
            symlink(garbage, &meta).unwrap();
            let error = refused(rig.settings());
            assert!(
                matches!(&error, OpenError::ForeignState { folder: found, .. } if *found == folder),
                "{error:?}"
            );
            assert!(error.advice().contains("sluice cleanup"));
        }
        fs::remove_file(&meta).unwrap();
        fs::create_dir(&meta).unwrap();
        let error = refused(rig.settings());
        assert!(matches!(error, OpenError::ForeignState { .. }), "{error:?}");
        if let Ok(ours) = ours {
            fs::remove_dir(&meta).unwrap();
            symlink(ours, &meta).unwrap();
        }
    }
    let stranger = rig.settings().pin_dir.join("v77");
    let cleaned = kernel::cleanup(&rig.settings()).unwrap();
    assert_eq!(cleaned.left, std::slice::from_ref(&stranger));
    fs::remove_dir(stranger.join("meta")).unwrap();
    symlink("{\"abi\":77,\"weather\":\"fair\"}", stranger.join("meta")).unwrap();
    let cleaned = kernel::cleanup(&rig.settings()).unwrap();
    assert!(
        cleaned.removed.contains(&stranger),
        "of another version, but ours: {cleaned:?}"
    );
}

#[test]
fn pins_that_nobody_recorded_are_refused() {
    let Some(rig) = Rig::with_object() else { return };
    let maps = rig.settings().pin_dir.join(format!("v{}/maps", abi::ABI));
    fs::create_dir_all(&maps).unwrap();
    symlink("nowhere", maps.join("stranger")).unwrap();
    let error = refused(rig.settings());
    assert!(matches!(error, OpenError::ForeignState { .. }), "{error:?}");
    assert!(
        fs::symlink_metadata(maps.join("stranger")).is_ok(),
        "what is not ours stays"
    );
    fs::remove_file(maps.join("stranger")).unwrap();
    drop(rig.open());
}

#[test]
fn places_that_are_no_cgroup_are_refused() {
    let Some(rig) = Rig::with_object() else { return };
    let kernel = rig.open();
    let gone = kernel.attach(&rig.cgroup.join("nobody"), COUNT).unwrap_err();
    assert!(matches!(gone, AttachError::Gone { .. }), "{gone:?}");
    let other = kernel.attach(Path::new("/tmp"), COUNT).unwrap_err();
    assert!(matches!(other, AttachError::NotCgroup2 { .. }), "{other:?}");
    assert_eq!(kernel.verify().unwrap().links, []);
    drop(kernel);
    let root = rig.cgroup.join("root");
    fs::create_dir(&root).unwrap();
    let kernel = Kernel::open(Settings {
        cgroup_root: Some(root.clone()),
        ..rig.settings()
    })
    .unwrap();
    let ways = [
        rig.cgroup.clone(),
        "..".into(),
        root.join("../../").join(rig.cgroup.file_name().unwrap()),
    ];
    let outside = ways.map(|above| kernel.attach(&above, COUNT));
    let left = kernel.verify().unwrap().links;
    drop(kernel);
    fs::remove_dir(&root).unwrap();
    assert!(
        outside
            .iter()
            .all(|way| matches!(way, Err(AttachError::Outside { .. }))),
        "{outside:?}"
    );
    assert_eq!(left, []);
}

#[test]
fn a_pod_that_vanishes_while_attaching_leaves_nothing() {
    let Some(rig) = Rig::with_object() else { return };
    let kernel = rig.open();
    let place = rig.cgroup.join("pod");
    let (mut gone, mut attached) = (0, 0);
    for turn in 0..200_u64 {
        fs::create_dir(&place).unwrap();
        let removed = place.clone();
        let remover = thread::spawn(move || {
            (0..turn * 50).for_each(|_| std::hint::spin_loop());
            fs::remove_dir(removed).unwrap();
        });
        let result = kernel.attach(
            &place,
            Hooks {
                account: true,
                redirect: true,
            },
        );
        remover.join().unwrap();
        match result {
            Ok(()) => {
                attached += 1;
                kernel.detach(&place).unwrap();
            }
            Err(AttachError::Gone { .. }) => gone += 1,
            Err(other) => panic!("{other:?}"),
        }
        assert_eq!(kernel.verify().unwrap().links, [], "turn {turn}");
    }
    assert!(gone > 0, "{attached} times it was too late to vanish");
}

#[test]
fn pods_beyond_the_room_are_refused() {
    let Some(rig) = Rig::with_object() else { return };
    let kernel = rig.open();
    let key = PodKey {
        netns: 1,
        port: 80,
        ..PodKey::default()
    };
    assert!(matches!(
        kernel.track(key, PodId(64), 0),
        Err(TrackError::Full { pod: 64, room: 64 })
    ));
    assert!(kernel.counts(PodId(64)).is_err());
    assert!(matches!(
        kernel.track(PodKey { netns: 0, ..key }, PodId(0), 0),
        Err(TrackError::Key { .. })
    ));
}

/// Not a test: run without privileges by the next one.
#[test]
#[ignore = "started by other tests"]
fn opening_without_privileges() {
    let error = Kernel::open(Settings::default()).unwrap_err();
    println!("\n{error}; {}", error.advice());
}

#[test]
fn missing_privileges_are_named() {
    let Some(_rig) = Rig::new() else { return };
    let test = [
        "--exact",
        "faults::opening_without_privileges",
        "--ignored",
        "--nocapture",
    ];
    let output = Command::new("setpriv")
        .args(["--bounding-set=-bpf,-sys_admin", "--inh-caps=-bpf,-sys_admin"])
        .arg(std::env::current_exe().unwrap())
        .args(test)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        text.contains("missing privileges: CAP_BPF; run as root, or grant CAP_BPF"),
        "{text}"
    );
}
