// SPDX-License-Identifier: Apache-2.0
//! Reading the logs of containers, whole, from their end, or as they grow.
//!
//! Invariants: a line is sent once; what is read at a time is bounded; who follows a container hears it to its end.
//! Depends on: settings, objects, attempt, logs.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use k8s_openapi::jiff::Timestamp;
use life::Tasks;
use serde_json::Value;
use tokio::sync::mpsc;

use super::attempt;
use super::objects::Objects;
use super::settings::Settings;
use crate::key::Key;
use crate::logs::{Logs, Wanted};
use crate::meta;
use crate::refusal::Refusal;

/// How often a log that is followed is looked at.
const LOOK: Duration = Duration::from_millis(50);
/// Read at a time.
const PIECE: u64 = 64 * 1024;

/// The logs of a runner's pods.
#[derive(Clone, Debug)]
pub(super) struct Reader {
    /// The runner's settings.
    pub settings: Arc<Settings>,
    /// Its hand in the API.
    pub objects: Objects,
    /// Its tasks.
    pub tasks: Tasks,
}

impl Logs for Reader {
    fn read(&self, namespace: &str, pod: &str, wanted: &Wanted) -> Result<mpsc::Receiver<Bytes>, Refusal> {
        let key = Key::new(self.objects.pods(), namespace, pod);
        let found = self.objects.state().read(|store| store.get(&key));
        let found = found.ok_or_else(|| Refusal::NotFound {
            resource: key.resource,
            name: pod.to_owned(),
        })?;
        let container = choose(&found, pod, wanted.container.as_deref())?;
        let folder = self.settings.pod(meta::uid(&found)).join("containers").join(&container);
        let numbers = attempt::numbers(&folder);
        let number = match wanted.previous {
            false => numbers.last().copied(),
            true => numbers.iter().rev().nth(1).copied(),
        };
        let number = number.ok_or_else(|| {
            Refusal::bad_request(match wanted.previous {
                true => format!("previous terminated container {container:?} in pod {pod:?} not found"),
                false => {
                    let reason = waiting(&found, &container);
                    format!("container {container:?} in pod {pod:?} is waiting to start: {reason}")
                }
            })
        })?;
        let (send, receive) = mpsc::channel(16);
        let (attempt, wanted) = (folder.join(number.to_string()), wanted.clone());
        self.tasks.spawn("log", async move {
            // Who reads has gone, or the pod: in both cases this is the end.
            let _ = carry(&attempt, &wanted, &send).await;
        });
        Ok(receive)
    }
}

fn names<'a>(pod: &'a Value, list: &str) -> impl Iterator<Item = &'a str> {
    let containers = pod["spec"][list].as_array().into_iter().flatten();
    containers.filter_map(|container| container["name"].as_str())
}

fn choose(found: &Value, pod: &str, wanted: Option<&str>) -> Result<String, Refusal> {
    let all: Vec<&str> = names(found, "containers").collect();
    match (wanted.filter(|wanted| !wanted.is_empty()), all.as_slice()) {
        (Some(wanted), _) => {
            let is_there = all.contains(&wanted) || names(found, "initContainers").any(|name| name == wanted);
            let refused = || Refusal::bad_request(format!("container {wanted} is not valid for pod {pod}"));
            is_there.then(|| wanted.to_owned()).ok_or_else(refused)
        }
        (None, [one]) => Ok((*one).to_owned()),
        (None, _) => Err(Refusal::bad_request(format!(
            "a container name must be specified for pod {pod}, choose one of: [{}]",
            all.join(" ")
        ))),
    }
}

fn waiting<'a>(pod: &'a Value, container: &str) -> &'a str {
    let statuses = pod["status"]["containerStatuses"].as_array().into_iter().flatten();
    let status = statuses.into_iter().find(|status| status["name"] == container);
    status
        .and_then(|status| status["state"]["waiting"]["reason"].as_str())
        .unwrap_or("ContainerCreating")
}

/// Nobody reads any more, or nothing can be read.
struct Over;

impl From<io::Error> for Over {
    fn from(_: io::Error) -> Self {
        Self
    }
}

async fn carry(attempt: &Path, wanted: &Wanted, to: &mpsc::Sender<Bytes>) -> Result<(), Over> {
    let mut filter = Filter::new(wanted);
    let mut file = Growing::open(attempt, wanted.tail_lines)?;
    loop {
        let has_ended = attempt::ended(attempt).is_some();
        let bytes = file.next()?;
        if !bytes.is_empty() {
            let text = filter.take(&bytes);
            if !text.is_empty() {
                to.send(Bytes::from(text)).await.map_err(|_| Over)?;
            }
            if filter.is_full() {
                return Ok(());
            }
            continue;
        }
        if has_ended || !wanted.follow || !attempt.exists() {
            return Ok(());
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = to.closed() => return Err(Over),
        }
    }
}

/// A log and the one before it, read in order while they grow and are turned over.
struct Growing {
    path: PathBuf,
    files: Vec<File>,
    /// Which file the last one is.
    inode: u64,
}

impl Growing {
    fn open(attempt: &Path, tail: Option<usize>) -> io::Result<Self> {
        let path = attempt.join("log");
        let mut files: Vec<File> = File::open(attempt.join("log.1")).into_iter().collect();
        let newest = File::open(&path)?;
        let inode = newest.metadata()?.ino();
        files.push(newest);
        if let Some(lines) = tail {
            skip(&mut files, lines)?;
        }
        files.reverse();
        Ok(Self { path, files, inode })
    }

    /// What comes next: whole lines; nothing if there is nothing yet.
    fn next(&mut self) -> io::Result<Vec<u8>> {
        while let Some(file) = self.files.last_mut() {
            let mut bytes = Vec::new();
            file.by_ref().take(PIECE).read_to_end(&mut bytes)?;
            let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            file.seek_relative_from(whole, bytes.len())?;
            if whole > 0 {
                bytes.truncate(whole);
                return Ok(bytes);
            }
            if self.files.len() > 1 {
                self.files.pop();
                continue;
            }
            let newest = fs::metadata(&self.path)?.ino();
            if newest == self.inode {
                return Ok(Vec::new());
            }
            self.files = vec![File::open(&self.path)?];
            self.inode = newest;
        }
        Ok(Vec::new())
    }
}

/// Going back over what was read of an unfinished line.
trait SeekBack {
    fn seek_relative_from(&mut self, whole: usize, read: usize) -> io::Result<()>;
}

impl SeekBack for File {
    fn seek_relative_from(&mut self, whole: usize, read: usize) -> io::Result<()> {
        let back = i64::try_from(read - whole).unwrap_or_default();
        self.seek(SeekFrom::Current(-back)).map(drop)
    }
}

/// Positions files so that so many lines are left.
fn skip(files: &mut [File], lines: usize) -> io::Result<()> {
    let mut left = lines;
    for file in files.iter_mut().rev() {
        let mut end = file.metadata()?.len();
        let mut start = if left == 0 { end } else { 0 };
        while end > 0 && left > 0 {
            let from = end.saturating_sub(PIECE);
            let mut bytes = vec![0; usize::try_from(end - from).unwrap_or_default()];
            file.seek(SeekFrom::Start(from))?;
            file.read_exact(&mut bytes)?;
            // The very last line's end begins no line.
            let is_last = |at: usize| from + at as u64 + 1 == file_length(file);
            for at in (0..bytes.len()).rev().filter(|at| bytes.get(*at) == Some(&b'\n')) {
                if is_last(at) {
                    continue;
                }
                left -= 1;
                if left == 0 {
                    start = from + at as u64 + 1;
                    break;
                }
            }
            end = from;
        }
        if left > 0 && file_length(file) > 0 {
            // The first line of the file has no line's end before it.
            left -= 1;
        }
        file.seek(SeekFrom::Start(start))?;
    }
    Ok(())
}

fn file_length(file: &File) -> u64 {
    file.metadata().map(|found| found.len()).unwrap_or_default()
}

/// Turns lines of the file into what was asked for.
struct Filter {
    timestamps: bool,
    since: Option<Timestamp>,
    left: Option<usize>,
}

impl Filter {
    fn new(wanted: &Wanted) -> Self {
        Self {
            timestamps: wanted.timestamps,
            since: wanted.since,
            left: wanted.limit_bytes,
        }
    }

    fn take(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            let mut parts = line.splitn(4, |byte| *byte == b' ');
            let (Some(time), _, Some(tag), Some(text)) = (parts.next(), parts.next(), parts.next(), parts.next())
            else {
                continue;
            };
            let time_text = std::str::from_utf8(time).unwrap_or_default();
            if self
                .since
                .is_some_and(|since| time_text.parse::<Timestamp>().is_ok_and(|time| time < since))
            {
                continue;
            }
            if self.timestamps {
                out.extend_from_slice(time);
                out.push(b' ');
            }
            // A piece of a line: its end comes with the next.
            out.extend_from_slice(if tag == b"P" {
                text.strip_suffix(b"\n").unwrap_or(text)
            } else {
                text
            });
        }
        if let Some(left) = &mut self.left {
            out.truncate(*left);
            *left -= out.len();
        }
        out
    }

    fn is_full(&self) -> bool {
        self.left == Some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str, files: &[(&str, String)]) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("sluice-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        for (name, text) in files {
            fs::write(folder.join(name), text).unwrap();
        }
        folder
    }

    fn line(number: usize) -> String {
        format!("2026-01-01T00:00:0{number}.000000000Z stdout F line {number}\n")
    }

    fn read(folder: &Path, wanted: &Wanted) -> String {
        let (mut filter, mut out) = (Filter::new(wanted), Vec::new());
        let mut file = Growing::open(folder, wanted.tail_lines).unwrap();
        loop {
            let bytes = file.next().unwrap();
            if bytes.is_empty() {
                return String::from_utf8(out).unwrap();
            }
            out.extend(filter.take(&bytes));
        }
    }

    #[test]
    fn a_log_is_read_whole_from_its_end_since_a_time_and_up_to_a_size() {
        let old: String = (1..4).map(line).collect();
        let new: String = (4..6).map(line).collect();
        let folder = folder("reader", &[("log.1", old), ("log", new)]);
        let of = |wanted: &Wanted| read(&folder, wanted);
        let all = Wanted::default();
        assert_eq!(of(&all), "line 1\nline 2\nline 3\nline 4\nline 5\n");
        for (tail, text) in [
            (0, ""),
            (1, "line 5\n"),
            (2, "line 4\nline 5\n"),
            (3, "line 3\nline 4\nline 5\n"),
            (9, "line 1\nline 2\nline 3\nline 4\nline 5\n"),
        ] {
            let tail_lines = Some(tail);
            assert_eq!(
                of(&Wanted {
                    tail_lines,
                    ..all.clone()
                }),
                text,
                "{tail}"
            );
        }
        let since = Some("2026-01-01T00:00:05Z".parse().unwrap());
        assert_eq!(of(&Wanted { since, ..all.clone() }), "line 5\n");
        let limit_bytes = Some(9);
        assert_eq!(
            of(&Wanted {
                limit_bytes,
                ..all.clone()
            }),
            "line 1\nli"
        );
        let timestamps = true;
        assert!(of(&Wanted { timestamps, ..all }).starts_with("2026-01-01T00:00:01.000000000Z line 1\n"));
        fs::remove_dir_all(folder).unwrap();
    }
}
