// SPDX-License-Identifier: Apache-2.0
//! Files that are damaged everywhere, one place at a time.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Once;

use serde_json::json;

use super::*;
use crate::state::State;
use crate::state::disk::{Disk, OpenError};
use crate::store::{Event, EventKind};
use api::pressed::Slot;

/// Objects of the file: enough for branches above the leaves.
const MADE: u64 = 60;

struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("sluice-judge-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn file(&self, content: &[u8]) -> PathBuf {
        let path = self.0.join("state");
        fs::write(&path, content).unwrap();
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Panics of the database are answers here: they are not told.
fn hush() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !panic.location().is_some_and(|place| place.file().contains("redb")) {
                usual(panic);
            }
        }));
    });
}

fn event(number: u64, round: u64) -> Event {
    let maps = resource::find("", "v1", "configmaps").unwrap();
    let name = format!("m{number:03}");
    let object = json!({"metadata": {"name": name}, "data": {"round": round.to_string(), "text": "x".repeat(300)}});
    Event {
        version: round * MADE + number,
        kind: EventKind::Added,
        key: Arc::new(Key::new(maps, "default", &name)),
        object: Arc::new(Slot::new(Arc::new(object))),
        previous: None,
    }
}

/// A file with all objects written twice, one by one, and then all at once; as a clean end leaves it, and as a kill does.
fn written(scratch: &Scratch) -> (Vec<u8>, Vec<u8>) {
    let path = scratch.0.join("made");
    let (mut disk, _) = Disk::open(&path).unwrap();
    for round in 1..=2 {
        for number in 0..MADE {
            disk.write(&[&event(number, round)]).unwrap();
        }
    }
    let all: Vec<_> = (0..MADE).map(|number| event(number, 3)).collect();
    disk.write(&all.iter().collect::<Vec<_>>()).unwrap();
    // The same once more, so that who falls back by one write has them as well.
    disk.write(&all.iter().collect::<Vec<_>>()).unwrap();
    let killed = fs::read(&path).unwrap();
    drop(disk);
    (fs::read(&path).unwrap(), killed)
}

fn due() -> Vec<(String, Value)> {
    let made = (0..MADE).map(|number| event(number, 3));
    made.map(|event| (event.key.name.clone(), Value::clone(&event.object.get())))
        .collect()
}

fn plain(objects: Vec<(Key, Value)>) -> Vec<(String, Value)> {
    objects.into_iter().map(|(key, object)| (key.name, object)).collect()
}

/// Whether a file is taken; then it holds what was written. It stays as it is.
#[track_caller]
fn is_taken(path: &Path, content: &[u8], what: &str) -> bool {
    let found = read(&File::open(path).unwrap());
    assert!(fs::read(path).unwrap() == content, "{what}: the file was changed");
    found.is_ok_and(|objects| {
        assert!(plain(objects) == due(), "{what}: other objects than were written");
        true
    })
}

#[test]
fn a_file_with_a_bit_flipped_is_refused_or_read_rightly() {
    hush();
    let scratch = Scratch::new("flips");
    let (clean, killed) = written(&scratch);
    for (mut content, how) in [(clean, "ended"), (killed, "killed")] {
        let path = scratch.file(&content);
        assert!(is_taken(&path, &content, how), "{how}: a good file is refused");
        let file = File::options().write(true).open(&path).unwrap();
        let used = content.iter().rposition(|byte| *byte != 0).unwrap();
        // All flags, all of the header, and places all over the rest.
        let flags = (0..8).map(|bit| (9, bit));
        let rest = (0..320).chain((320..used).step_by(1_499)).map(|at| (at, at % 8));
        let (mut taken, mut refused) = (0, 0);
        for (at, bit) in flags.chain(rest) {
            content[at] ^= 1 << bit;
            file.write_all_at(&content[at..=at], at as u64).unwrap();
            match is_taken(&path, &content, &format!("{how}, bit {bit} of byte {at}")) {
                true => taken += 1,
                false => refused += 1,
            }
            content[at] ^= 1 << bit;
            file.write_all_at(&content[at..=at], at as u64).unwrap();
        }
        assert!(refused > 20 && taken > 20, "{how}: {refused} refused, {taken} taken");
    }
}

#[test]
fn a_file_that_was_cut_off_or_written_on_is_refused() {
    hush();
    let scratch = Scratch::new("lengths");
    let (clean, killed) = written(&scratch);
    for content in [clean, killed] {
        for length in (1..content.len()).step_by(content.len() / 40) {
            let path = scratch.file(&content[..length]);
            assert!(
                !is_taken(&path, &content[..length], "cut"),
                "the first {length} bytes are taken"
            );
        }
        let longer = [content.as_slice(), b"more"].concat();
        assert!(!is_taken(&scratch.file(&longer), &longer, "longer"));
    }
}

/// Nobody can tell it from a write that a power failure cut short, and which nobody was answered.
#[test]
fn of_a_killed_process_a_damaged_last_write_is_as_if_it_had_not_been() {
    hush();
    let scratch = Scratch::new("last");
    let (_, mut content) = written(&scratch);
    // The flags say which of the two slots, each with a checksum, holds the last write.
    let slot = 64 + 128 * usize::from(content[9] & 1);
    content[slot + 16] ^= 1;
    assert!(is_taken(
        &scratch.file(&content),
        &content,
        "the write before was the same"
    ));
}

/// What it says of a file, having left it as it is.
#[track_caller]
fn refusal(path: &Path) -> String {
    let before = fs::read(path).unwrap();
    let refused = State::open(path).unwrap_err();
    assert!(matches!(refused, OpenError::Damaged { .. }), "{refused}");
    assert!(fs::read(path).unwrap() == before, "{refused}: the file was changed");
    refused.to_string()
}

#[test]
fn a_newer_format_an_unknown_kind_and_no_json_are_refused_and_kept() {
    let scratch = Scratch::new("foreign");
    let (clean, killed) = written(&scratch);
    type Change = fn(&redb::WriteTransaction);
    let changes: [(&str, Change); 3] = [
        ("it has format 2, and this program reads 1", |transaction| {
            transaction.open_table(COUNTERS).unwrap().insert(FORMAT, 2).unwrap();
        }),
        (
            "it holds things.example.com, which this program does not serve",
            |transaction| {
                let mut objects = transaction.open_table(OBJECTS).unwrap();
                objects
                    .insert(("things.example.com", "default", "a"), b"{}".as_slice())
                    .unwrap();
            },
        ),
        ("configmaps default/a is no JSON", |transaction| {
            let mut objects = transaction.open_table(OBJECTS).unwrap();
            objects.insert(("configmaps", "default", "a"), b"{".as_slice()).unwrap();
        }),
    ];
    for content in [clean, killed] {
        for (said, change) in changes {
            let path = scratch.file(&content);
            let database = Database::open(&path).unwrap();
            let transaction = database.begin_write().unwrap();
            change(&transaction);
            transaction.commit().unwrap();
            let of_killed = fs::read(&path).unwrap();
            drop(database);
            assert!(refusal(&path).contains(said), "{}", refusal(&path));
            assert!(refusal(&scratch.file(&of_killed)).contains(said));
        }
    }
}

#[test]
fn a_database_of_somebody_else_is_refused_and_one_that_nothing_was_written_to_is_taken() {
    let scratch = Scratch::new("somebody");
    let path = scratch.0.join("state");
    let database = Database::create(&path).unwrap();
    let unwritten = fs::read(&path).unwrap();
    let theirs = redb::TableDefinition::<u64, u64>::new("theirs");
    let transaction = database.begin_write().unwrap();
    transaction.open_table(theirs).unwrap().insert(1, 1).unwrap();
    transaction.commit().unwrap();
    drop(database);
    assert!(
        refusal(&path).contains("'counters' does not exist"),
        "{}",
        refusal(&path)
    );
    State::open(&scratch.file(&unwritten)).unwrap();
}

#[test]
fn what_is_written_over_a_file_is_read_and_the_file_stays() {
    let scratch = Scratch::new("overlay");
    let content: Vec<u8> = (0..10_000).map(|at| at as u8 | 1).collect();
    let path = scratch.file(&content);
    let overlay = Overlay::new(File::open(&path).unwrap()).unwrap();
    let bytes = |offset, length| {
        let mut read = vec![0xee; length];
        overlay.read(offset, &mut read).map(|()| read)
    };
    overlay.write(4_000, &[0; 5_000]).unwrap();
    let mut due = content.clone();
    due[4_000..9_000].fill(0);
    assert_eq!(bytes(0, 10_000).unwrap(), due);
    assert_eq!(bytes(3_999, 2).unwrap(), [content[3_999], 0]);
    assert!(bytes(9_999, 2).is_err(), "read behind the end");
    overlay.set_len(9_500).unwrap();
    overlay.set_len(20_000).unwrap();
    due.truncate(9_500);
    due.resize(20_000, 0);
    assert_eq!(bytes(0, 20_000).unwrap(), due);
    overlay.write(19_999, &[7]).unwrap();
    assert_eq!(bytes(19_998, 2).unwrap(), [0, 7]);
    assert_eq!(fs::read(&path).unwrap(), content);
}
