//! A control group below that of the test, for one kind of resource.

use std::{fmt, fs, path::PathBuf, process, str::FromStr};

/// A control group. Dropping it removes the group; no process may be in it then.
pub(crate) struct Group(PathBuf);

impl Group {
    /// Creates a group for `kind`. Skips the test with a reason if that is impossible: the control
    /// groups have another version, or the test may not create one.
    pub(crate) fn new(kind: &str) -> Option<Self> {
        let own = fs::read_to_string("/proc/self/cgroup").expect("a process table");
        let path = own.lines().find_map(|line| line.split_once(&format!(":{kind}:")));
        let Some((_, path)) = path else {
            crate::support::skip(&format!("no control groups, version 1, of {kind}"));
            return None;
        };
        let name = format!("meshwork-test-{}", process::id());
        let group = PathBuf::from(format!("/sys/fs/cgroup/{kind}{path}")).join(name);
        if let Err(error) = fs::create_dir(&group) {
            crate::support::skip(&format!("{}: {error}", group.display()));
            return None;
        }
        Some(Self(group))
    }

    /// The shell command that joins the group.
    pub(crate) fn joining(&self) -> String {
        format!("echo $$ > {}", self.0.join("cgroup.procs").display())
    }

    pub(crate) fn set(&self, file: &str, value: impl fmt::Display) {
        fs::write(self.0.join(file), value.to_string()).expect("a value that can be set");
    }

    pub(crate) fn get<T: FromStr<Err: fmt::Debug>>(&self, file: &str) -> T {
        self.text(file).trim().parse().expect("a value")
    }

    pub(crate) fn text(&self, file: &str) -> String {
        fs::read_to_string(self.0.join(file)).expect("a file")
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // A process in it may still be ending; an empty group that stays does no harm.
        fs::remove_dir(&self.0).ok();
    }
}
