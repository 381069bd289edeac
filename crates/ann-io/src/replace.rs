//! Replaces a file as a whole or not at all: how every file of this crate is written.
//!
//! Source: Pillai et al., *All File Systems Are Not Created Equal*, OSDI 2014: write a new file, force it to disk, rename
//! it over the old one, force the folder to disk. Each step alone has been seen to lose one of the two versions.

use std::{
    fs::{self, File, OpenOptions},
    io,
    path::{Path, PathBuf},
};

/// Names that are tried for the new file; all but the first are needed only after crashes, or when several threads save
/// under one name.
const ATTEMPTS: u32 = 1000;

/// Gives the file at `path` the contents that `write` produces; `failed` makes an error of what the system says. On any
/// error the old file, if there is one, is as it was, and nothing is left beside it. Symbolic links are followed;
/// permissions of the old file are kept.
pub(crate) fn replace<E>(
    path: &Path,
    failed: impl Fn(io::Error) -> E,
    write: impl FnOnce(&mut File) -> Result<(), E>,
) -> Result<(), E> {
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let (mut file, draft) = Draft::create(&target).map_err(&failed)?;
    if let Ok(old) = fs::metadata(&target) {
        file.set_permissions(old.permissions()).map_err(&failed)?;
    }
    write(&mut file)?;
    file.sync_all().map_err(&failed)?;
    drop(file);
    draft.rename(&target).and_then(|()| sync_folder(&target)).map_err(&failed)
}

/// The new file under its temporary name; removed on drop unless renamed.
struct Draft {
    path: Option<PathBuf>,
}

impl Draft {
    fn create(target: &Path) -> io::Result<(File, Draft)> {
        let name = target.file_name().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "no file name"))?;
        for attempt in 0..ATTEMPTS {
            let mut draft = std::ffi::OsString::from(".");
            draft.push(name);
            draft.push(format!(".{}-{attempt}.tmp", std::process::id()));
            let path = target.with_file_name(draft);
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(file) => return Ok((file, Draft { path: Some(path) })),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::new(io::ErrorKind::AlreadyExists, "too many temporary files beside the target"))
    }

    fn rename(mut self, target: &Path) -> io::Result<()> {
        if let Some(path) = &self.path {
            fs::rename(path, target)?;
        }
        self.path = None;
        Ok(())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            // The error that brought us here matters more than this one.
            let _ = fs::remove_file(path);
        }
    }
}

/// Makes the rename itself last. Only Unix lets a folder be opened and forced to disk.
fn sync_folder(target: &Path) -> io::Result<()> {
    if cfg!(unix) {
        let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn replace(path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
        super::replace(path, |error| error, write)
    }

    #[test]
    fn a_failed_write_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("index");
        replace(&path, |out| out.write_all(b"old")).unwrap();
        for written in 0..5 {
            let result = replace(&path, |out| {
                out.write_all(&b"newer"[..written])?;
                Err(io::ErrorKind::StorageFull.into())
            });
            assert_eq!(result.unwrap_err().kind(), io::ErrorKind::StorageFull);
            assert_eq!(fs::read(&path).unwrap(), b"old");
            assert_eq!(names(folder.path()), ["index"]);
        }
        replace(&path, |out| out.write_all(b"new")).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(names(folder.path()), ["index"]);
    }

    #[test]
    fn a_panic_while_writing_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("index");
        fs::write(&path, b"old").unwrap();
        let result = std::panic::catch_unwind(|| replace(&path, |_| panic!("on purpose")));
        assert!(result.is_err());
        assert_eq!((fs::read(&path).unwrap(), names(folder.path())), (b"old".to_vec(), vec!["index".to_owned()]));
    }

    #[test]
    fn a_failed_rename_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("index");
        fs::create_dir_all(path.join("inside")).unwrap();
        assert!(replace(&path, |out| out.write_all(b"new")).is_err(), "a folder is in the way");
        assert_eq!(names(folder.path()), ["index"]);
        assert!(replace(&folder.path().join("missing/index"), |_| Ok(())).is_err());
        assert!(replace(Path::new(""), |_| Ok(())).is_err());
    }

    #[test]
    fn what_a_killed_process_left_behind_is_in_nobodys_way() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("index");
        let left = folder.path().join(format!(".index.{}-0.tmp", std::process::id()));
        fs::write(&left, b"half").unwrap();
        replace(&path, |out| out.write_all(b"new")).unwrap();
        assert_eq!((fs::read(&path).unwrap(), fs::read(&left).unwrap()), (b"new".to_vec(), b"half".to_vec()));
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_and_permissions_kept() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("index"), folder.path().join("link"));
        fs::write(&path, b"old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        symlink(&path, &link).unwrap();
        replace(&link, |out| out.write_all(b"new")).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    }

    #[test]
    fn threads_that_save_under_one_name_leave_one_whole_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("index");
        std::thread::scope(|scope| {
            for thread in 0..4u8 {
                let path = &path;
                scope.spawn(move || (0..5).for_each(|_| replace(path, |out| out.write_all(&[thread; 999])).unwrap()));
            }
        });
        let contents = fs::read(&path).unwrap();
        assert!(contents.len() == 999 && contents.iter().all(|&byte| byte == contents[0]));
        assert_eq!(names(folder.path()), ["index"]);
    }
}
