//! The files of one source, until they are in their place.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
    thread,
};

use narrows_jobs::names::{Place, is_contained};

use super::OutputDirectory;

/// Folders among which sources are divided: creating a file and renaming one wait for each other where they are
/// in the same.
const FOLDERS: u64 = 32;

/// Nothing yet, a file, or a folder of entries, in the staging directory. Dropping it removes them.
pub(crate) struct Staged {
    directory: Arc<OutputDirectory>,
    path: PathBuf,
    entries: u64,
    /// The first entry.
    first: Option<String>,
    is_folder: bool,
    is_published: bool,
}

impl Staged {
    pub(super) fn new(directory: Arc<OutputDirectory>, index: u64) -> Self {
        let path = directory.staging.join(format!("{:02}/{index}", index % FOLDERS));
        Self { directory, path, entries: 0, first: None, is_folder: true, is_published: false }
    }

    /// The file that the source is.
    pub(crate) fn file(&mut self) -> io::Result<StagedFile> {
        self.make_shared_folder()?;
        self.is_folder = false;
        StagedFile::create(&self.path, &self.directory)
    }

    /// The file of an entry of this name.
    pub(crate) fn entry(&mut self, name: &str) -> io::Result<StagedFile> {
        if !is_contained(name) {
            return Err(io::Error::other(format!("the name {name:?} would leave the output directory")));
        }
        if self.entries == 0 {
            self.make_shared_folder()?;
        }
        let path = self.path.join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        self.entries += 1;
        self.first.get_or_insert_with(|| name.into());
        StagedFile::create(&path, &self.directory)
    }

    /// Makes the folder that it shares with other sources. Not those above: an output that has gone away must not come
    /// back empty.
    fn make_shared_folder(&self) -> io::Result<()> {
        match self.path.parent().map(fs::create_dir) {
            Some(Err(error)) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => Ok(()),
        }
    }

    /// Files that are to be synced.
    pub(super) fn files(&self) -> u64 {
        if self.is_folder { self.entries } else { 1 }
    }

    /// Syncs its files and their folders.
    pub(super) fn sync(&self) -> io::Result<()> {
        let sync = |path: &Path| File::open(path)?.sync_all();
        match self.is_folder {
            false => sync(&self.path),
            true if self.entries == 0 => Ok(()),
            true => self.walk(Path::new(""), &mut |path, _| sync(path), &mut |path| sync(path)),
        }
    }

    /// Moves all files into their places, or none but for errors of the disk: every place is looked at before one
    /// is taken. Gives the path below the output, a folder's with a slash, and adds the folders to be synced. What gets
    /// its place by one rename is announced before: what is staged, and the path.
    pub(super) fn publish(
        &mut self,
        place: &Place,
        announce: &mut dyn FnMut(&Path, &str) -> io::Result<()>,
        changed: &mut Vec<PathBuf>,
    ) -> io::Result<String> {
        let directory = self.directory.clone();
        let only = self.first.as_deref().filter(|_| self.entries == 1);
        let alone = only.and_then(|entry| Some((self.path.join(entry), place.only(entry)?)));
        let (from, to) = match alone {
            Some(alone) => alone,
            None if !self.is_folder => (self.path.clone(), place.path.clone()),
            None if place.alone.as_deref() == Some("") => {
                let text = format!("it has {} entries, which are not one file: --out DIR takes them", self.entries);
                return Err(io::Error::other(text));
            }
            None => return self.publish_folder(&directory, &place.folder, announce, changed),
        };
        let to = contained(&to)?;
        directory.check(to)?;
        let path = to.display().to_string();
        announce(&from, &path)?;
        place_file(&directory, &from, to, changed)?;
        self.is_published = !self.is_folder;
        Ok(path)
    }

    fn publish_folder(
        &mut self,
        directory: &OutputDirectory,
        folder: &str,
        announce: &mut dyn FnMut(&Path, &str) -> io::Result<()>,
        changed: &mut Vec<PathBuf>,
    ) -> io::Result<String> {
        let to = if folder.is_empty() { Path::new("") } else { contained(folder)? };
        if self.entries == 0 {
            self.make_shared_folder()?;
            fs::create_dir(&self.path)?;
        }
        let path = format!("{}/", to.display());
        let is_new = fs::symlink_metadata(directory.root.join(to)).is_err();
        if is_new {
            directory.check(to)?;
            announce(&self.path, &path)?;
            place_file(directory, &self.path, to, changed)?;
            self.is_published = true;
        } else {
            self.walk(Path::new(""), &mut |_, name| directory.check(&to.join(name)), &mut |_| Ok(()))?;
            let mut place = |from: &Path, name: &Path| place_file(directory, from, &to.join(name), changed);
            self.walk(Path::new(""), &mut place, &mut |_| Ok(()))?;
        }
        Ok(path)
    }

    /// Calls `file` for each file, staged and relative, and `folder` for each folder after it.
    fn walk(
        &self,
        relative: &Path,
        file: &mut dyn FnMut(&Path, &Path) -> io::Result<()>,
        folder: &mut dyn FnMut(&Path) -> io::Result<()>,
    ) -> io::Result<()> {
        let own = self.path.join(relative);
        for entry in fs::read_dir(&own)? {
            let entry = entry?;
            let relative = relative.join(entry.file_name());
            match entry.file_type()?.is_dir() {
                true => self.walk(&relative, file, folder)?,
                false => file(&entry.path(), &relative)?,
            }
        }
        folder(&own)
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.is_published {
            let _ = if self.is_folder { remove(&self.path) } else { fs::remove_file(&self.path) };
        }
    }
}

/// Removes a folder and what is in it. There may be thousands of files, and somebody waits for an interrupt to be
/// answered: so folders in it are removed side by side.
fn remove(folder: &Path) -> io::Result<()> {
    const THREADS: usize = 4;
    let children: Vec<PathBuf> = fs::read_dir(folder)?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    thread::scope(|scope| {
        for share in children.chunks(children.len().div_ceil(THREADS).max(1)) {
            let remove_all = move || {
                for child in share {
                    let _ = if child.is_dir() { fs::remove_dir_all(child) } else { fs::remove_file(child) };
                }
            };
            match children.len() {
                0..THREADS => remove_all(),
                _ => drop(scope.spawn(remove_all)),
            }
        }
    });
    fs::remove_dir_all(folder)
}

/// A path that layouts and names have made, once more.
fn contained(path: &str) -> io::Result<&Path> {
    match is_contained(path) {
        true => Ok(Path::new(path)),
        false => Err(io::Error::other(format!("the name {path:?} would leave the output directory"))),
    }
}

/// Renames what is staged, makes the folders it needs, and adds those that are changed by that.
fn place_file(directory: &OutputDirectory, from: &Path, to: &Path, changed: &mut Vec<PathBuf>) -> io::Result<()> {
    let target = directory.root.join(to);
    let parent = target.parent().unwrap_or(&directory.root);
    if !parent.is_dir() {
        directory.root.metadata()?; // one that has gone away must not come back empty
        // Each folder that is made is an entry of the one above it.
        let missing = parent.ancestors().take_while(|above| !above.is_dir()).count();
        changed.extend(parent.ancestors().skip(1).take(missing).map(Into::into));
        fs::create_dir_all(parent)?;
    }
    fs::rename(from, &target)?;
    changed.push(parent.into());
    Ok(())
}

/// A file being written. Blocks come large, so nothing is buffered. It is made durable when it is published.
pub(crate) struct StagedFile {
    file: File,
    directory: Arc<OutputDirectory>,
    /// Bytes until the free space is looked at again.
    unchecked: u64,
}

/// Written between two looks at what is free.
const CHECKED_EVERY: u64 = 16 << 20;

impl StagedFile {
    fn create(path: &Path, directory: &Arc<OutputDirectory>) -> io::Result<Self> {
        directory.check_free()?;
        Ok(Self { file: File::create_new(path)?, directory: directory.clone(), unchecked: CHECKED_EVERY })
    }
}

impl Write for StagedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.unchecked == 0 {
            self.directory.check_free()?;
            self.unchecked = CHECKED_EVERY;
        }
        let written = self.file.write(bytes)?;
        self.unchecked = self.unchecked.saturating_sub(written as u64);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
