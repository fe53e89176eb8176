// SPDX-License-Identifier: Apache-2.0
//! Gives back the text that only the start needed.
//!
//! Problem: a start reads most of the program's text once (the verifier's log, the definitions, the settings, the command
//! line), and the kernel maps sixteen pages for each that is touched; all that stays counted as this process's.
//! Mechanism: the program's text is unmapped (madvise(2), MADV_DONTNEED): it stays in the page cache, what is needed
//! again comes back by a minor fault, and the rest is the kernel's to take.
//! Invariants: only mappings of the program's own file, executable, never writable, without a page that was changed.
//! Depends on: /proc/self, libc.
#![expect(unsafe_code, reason = "madvise is not in std")]

use std::{fs, io, ops::Range, path::Path};

/// Call it once, when the start is over. Returns how many bytes of text are mapped anew when they are needed.
///
/// # Errors
/// If /proc cannot be read or the kernel refuses; then more is resident than needed, and nothing else.
pub fn give_back() -> io::Result<usize> {
    let program = fs::read_link("/proc/self/exe")?;
    let maps = fs::read_to_string("/proc/self/smaps")?;
    let mut bytes = 0;
    for text in texts(&maps, &program) {
        // SAFETY: unchanged pages of a file that cannot be written while it runs (ETXTBSY): they come back as they were.
        let result = unsafe { libc::madvise(text.start as *mut libc::c_void, text.len(), libc::MADV_DONTNEED) };
        if result != 0 {
            return Err(io::Error::last_os_error());
        }
        bytes += text.len();
    }
    Ok(bytes)
}

/// The program's executable mappings, of which no page was changed (`Anonymous:` of proc_pid_smaps(5)).
fn texts(maps: &str, program: &Path) -> Vec<Range<usize>> {
    let mut texts = Vec::new();
    let mut last = None;
    for line in maps.lines() {
        if let Some(next) = header(line, program) {
            last = next;
        } else if line
            .strip_prefix("Anonymous:")
            .is_some_and(|size| size.trim() == "0 kB")
        {
            texts.extend(last.take());
        }
    }
    texts
}

/// Some for the first line of a mapping; inside it, where it is when it is text of the program.
fn header(line: &str, program: &Path) -> Option<Option<Range<usize>>> {
    let mut fields = line.split_ascii_whitespace();
    let (start, end) = fields.next()?.split_once('-')?;
    let number = |digits| usize::from_str_radix(digits, 16).ok();
    let (start, end) = (number(start)?, number(end)?);
    let is_text = fields.next() == Some("r-xp");
    // A path may have blanks; those before it are padding.
    let path = line.splitn(6, ' ').nth(5).map(str::trim_start);
    Some((is_text && path.map(Path::new) == Some(program)).then_some(start..end))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAPS: &str = "\
1000-3000 r--p 00000000 fe:00 12                         /a b/sluice
Rss:                   8 kB
Anonymous:             0 kB
3000-6000 r-xp 00002000 fe:00 12                         /a b/sluice
Rss:                  12 kB
Anonymous:             0 kB
6000-7000 r-xp 00005000 fe:00 12                         /a b/sluice
Anonymous:             4 kB
7000-8000 rw-p 00006000 fe:00 12                         /a b/sluice
Anonymous:             0 kB
8000-9000 r-xp 00000000 fe:00 13                         /lib/libc.so.6
Anonymous:             0 kB
9000-a000 r-xp 00000000 00:00 0                          [vdso]
Anonymous:             0 kB
a000-b000 rw-p 00000000 00:00 0 
Anonymous:             0 kB
";

    #[test]
    fn only_unchanged_text_of_the_program_is_given_back() {
        assert_eq!(texts(MAPS, Path::new("/a b/sluice")), vec![0x3000..0x6000]);
        assert!(texts("nonsense\n1-\nAnonymous: 0 kB\n", Path::new("/a b/sluice")).is_empty());
    }

    #[test]
    fn what_was_given_back_works_on_and_less_is_resident() {
        let text = || {
            let maps = fs::read_to_string("/proc/self/smaps").expect("smaps");
            let program = fs::read_link("/proc/self/exe").expect("exe");
            let mut is_ours = false;
            maps.lines().fold(0, |sum, line| {
                if let Some(found) = header(line, &program) {
                    is_ours = found.is_some();
                }
                let size = line.strip_prefix("Rss:").filter(|_| is_ours);
                sum + size.map_or(0, |size| {
                    size.trim().trim_end_matches(" kB").parse::<u64>().expect("a number")
                })
            })
        };
        let before = text();
        let given = give_back().expect("give back");
        let after = text();
        assert!(given > 0);
        assert!(after < before, "{after} kB of text after {before}");
    }
}
