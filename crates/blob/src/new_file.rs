//! A new file that gets its name when it is complete.
//!
//! Absent on purpose: where its bytes come from. Folders are made by [`Unpack`](crate::folder::Unpack).

use std::{
    fs::{File, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use tempfile::NamedTempFile;

use crate::folder::UnpackError;

#[cfg(test)]
mod tests;

/// A file that is being made, under a temporary name beside its target. Dropped before
/// [`keep`](Self::keep), it is removed; a process that is killed leaves it under its temporary name
/// `.meshwork-…`.
#[derive(Debug)]
pub struct NewFile {
    draft: NamedTempFile,
    target: PathBuf,
}

impl NewFile {
    /// Begins a file for the target, in the existing directory that will hold it. Its mode is that of
    /// new files, less the process's mask.
    ///
    /// # Errors
    /// The target exists (`target_exists`), or no file can be made beside it.
    pub fn create(target: &Path, executable: bool) -> Result<Self, UnpackError> {
        // Before the first byte travels. The rename checks it once more.
        if target.symlink_metadata().is_ok() {
            return Err(UnpackError::TargetExists { path: target.to_owned() });
        }
        let dir = match target.parent() {
            Some(dir) if dir != Path::new("") => dir,
            Some(_) | None => Path::new("."),
        };
        let mode = if executable { 0o777 } else { 0o666 };
        let draft = tempfile::Builder::new()
            .prefix(".meshwork-")
            .permissions(Permissions::from_mode(mode))
            .tempfile_in(dir)
            .map_err(|source| UnpackError::Failed { path: target.to_owned(), source })?;
        Ok(Self { draft, target: target.to_owned() })
    }

    /// The file, open for writing.
    pub fn file(&self) -> &File {
        self.draft.as_file()
    }

    /// Gives the complete file its name. Replaces nothing.
    ///
    /// # Errors
    /// The target exists meanwhile (`target_exists`), or the file cannot be renamed. The file is
    /// removed then.
    pub fn keep(self) -> Result<(), UnpackError> {
        let Self { draft, target: path } = self;
        match draft.persist_noclobber(&path) {
            Ok(_) => Ok(()),
            Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => {
                Err(UnpackError::TargetExists { path })
            }
            Err(error) => Err(UnpackError::Failed { path, source: error.error }),
        }
    }
}
