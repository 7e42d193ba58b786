//! The system calls of a node by which it changes its disk and answers callers, as strace records them.
//!
//! Absent on purpose: what they do to the disk (`trace_disk`).

use std::{
    collections::HashMap,
    ffi::OsString,
    io::{BufRead, BufReader},
    os::unix::ffi::OsStringExt as _,
    path::{Path, PathBuf},
};

/// The recorded calls.
pub(crate) const CALLS: &str = "open,openat,creat,lseek,write,pwrite64,writev,pwritev,pwritev2,rename,\
    renameat,renameat2,link,linkat,symlink,unlink,unlinkat,mkdir,mkdirat,rmdir,ftruncate,truncate,\
    fallocate,fsync,fdatasync,syncfs,sync,sendto,sendmsg,copy_file_range,sendfile";

/// A recorded call that succeeded.
#[derive(Debug)]
pub(crate) struct Called {
    pub(crate) name: String,
    /// The files of descriptors, in order, and all texts and bytes, in order.
    pub(crate) files: Vec<(i64, PathBuf)>,
    pub(crate) bytes: Vec<Vec<u8>>,
    /// All arguments, with texts and files left out.
    pub(crate) args: Vec<String>,
    pub(crate) returned: i64,
}

/// The begin or the end of a call. Calls of several threads overlap.
#[derive(Debug)]
pub(crate) enum Event {
    /// A call begins; its bytes, if it writes any.
    Begins { thread: u32, call: Called },
    /// The call that the thread has begun has succeeded.
    Ends { thread: u32, call: Called },
}

/// Reads a recording.
pub(crate) fn read(path: &Path) -> Vec<Event> {
    let mut events = Vec::new();
    let mut begun: HashMap<u32, String> = HashMap::new();
    for line in BufReader::new(std::fs::File::open(path).unwrap()).lines() {
        let line = line.unwrap();
        let (thread, rest) = line.split_once(' ').unwrap();
        let thread = thread.parse().unwrap();
        let rest = rest.trim_start();
        if let Some(begin) = rest.strip_suffix(" <unfinished ...>") {
            begun.insert(thread, begin.to_owned());
            events.extend(parse(begin).map(|call| Event::Begins { thread, call }));
        } else if let Some(resumed) = rest.strip_prefix("<... ") {
            let Some((_, end)) = resumed.split_once(" resumed>") else { continue };
            let Some(begin) = begun.remove(&thread) else { continue };
            let whole = parse(&format!("{begin}{end}"));
            events.extend(whole.filter(Called::succeeded).map(|call| Event::Ends { thread, call }));
        } else if let Some(call) = parse(rest).filter(Called::succeeded) {
            let begin =
                Called { files: call.files.clone(), name: call.name.clone(), ..call.empty() };
            events.push(Event::Begins {
                thread,
                call: Called { bytes: call.bytes.clone(), ..begin },
            });
            events.push(Event::Ends { thread, call });
        }
    }
    events
}

impl Called {
    fn succeeded(&self) -> bool {
        self.returned >= 0
    }

    fn empty(&self) -> Self {
        let name = String::new();
        Self { name, files: Vec::new(), bytes: Vec::new(), args: Vec::new(), returned: 0 }
    }

    /// Whether it sends an answer with this text.
    pub(crate) fn answers(&self, text: &str) -> bool {
        let is_send = ["write", "writev", "sendto", "sendmsg"].contains(&self.name.as_str());
        let bytes = self.bytes.concat();
        is_send
            && bytes.starts_with(b"HTTP/1.1 20")
            && bytes.windows(text.len()).any(|part| part == text.as_bytes())
    }
}

/// Parses a call, complete or without its end. `None` for signals and exits.
fn parse(line: &str) -> Option<Called> {
    let (name, rest) = line.split_once('(')?;
    if !name.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    let returned = match rest.rsplit_once(") = ") {
        Some((_, end)) => end.split([' ', '<']).next()?.parse().unwrap_or(-1),
        None => match rest.rsplit_once(" = ") {
            Some((_, end)) => end.split([' ', '<']).next()?.parse().unwrap_or(-1),
            None => -1,
        },
    };
    let (mut files, mut bytes, mut plain) = (Vec::new(), Vec::new(), String::new());
    let mut rest = rest;
    while let Some(at) = rest.find(['<', '"']) {
        let (before, from) = rest.split_at(at);
        plain.push_str(before);
        let is_file = from.starts_with('<');
        let end = 1 + from[1..].find(if is_file { '>' } else { '"' })?;
        let text = unescaped(&from[1..end]);
        if is_file {
            let digits = before.rsplit(|c: char| !c.is_ascii_digit()).next()?;
            files.push((digits.parse().unwrap_or(-1), OsString::from_vec(text).into()));
        } else {
            bytes.push(text);
        }
        rest = &from[end + 1..];
    }
    plain.push_str(rest);
    let args = plain.split(',').map(|arg| arg.trim().to_owned()).collect();
    Some(Called { name: name.to_owned(), files, bytes, args, returned })
}

/// Bytes from their form `\x2f…`.
fn unescaped(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks_exact(4);
    let digit = |byte: u8| (byte as char).to_digit(16).unwrap_or_default() as u8;
    digits.map(|four| digit(four[2]) << 4 | digit(four[3])).collect()
}
