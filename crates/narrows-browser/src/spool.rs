//! Temporary storage: files of the origin's private file system (OPFS), or memory.
//!
//! A spool has a directory of its own below `narrows-spool`, and holds a Web Lock of its name for
//! as long as it lives. A tab that died holds none, so the next spool to be opened can tell whose
//! directories are left over, and removes them.

use std::{
    cell::Cell,
    error::Error as StdError,
    fmt,
    future::{Future, Ready, ready},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use js_sys::{Function, Object, Promise, Reflect};
use narrows_core::{
    Budget, Clock,
    budget::Reservation,
    spool::{Spool, SpoolFile},
};
use wasm_bindgen::{JsCast, JsValue, closure::Closure};
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{
    FileSystemDirectoryHandle, FileSystemFileHandle, FileSystemGetDirectoryOptions, FileSystemGetFileOptions,
    FileSystemReadWriteOptions, FileSystemRemoveOptions, FileSystemSyncAccessHandle, StorageEstimate, StorageManager,
};

use crate::{
    clock::BrowserClock,
    host::{self, Locks},
};

/// Why storage failed.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum SpoolError {
    /// Here are no files to be written in step: those are for dedicated workers, and WebKitGTK has
    /// none at all. A [`MemorySpool`] works everywhere.
    Unavailable,
    /// No room for so many bytes; so many there are.
    Full {
        /// Bytes asked for.
        needed: u64,
        /// Bytes to be had.
        available: u64,
    },
    /// The platform refused, in its words.
    Platform(String),
}

impl fmt::Display for SpoolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unavailable => f.write_str("no temporary files here; only dedicated workers have them"),
            Self::Full { needed, available } => write!(f, "{needed} bytes needed, {available} to be had"),
            Self::Platform(text) => write!(f, "temporary storage: {text}"),
        }
    }
}

impl StdError for SpoolError {}

impl From<JsValue> for SpoolError {
    fn from(reason: JsValue) -> Self {
        Self::Platform(host::describe(&reason))
    }
}

const ROOT: &str = "narrows-spool";

/// Temporary files in a dedicated worker, gone with their handles, and in the end with the spool.
#[derive(Clone, Debug)]
pub struct OpfsSpool(Rc<Directory>);

#[derive(Debug)]
struct Directory {
    storage: StorageManager,
    root: FileSystemDirectoryHandle,
    own: FileSystemDirectoryHandle,
    name: String,
    /// Ends the lock that says that this directory is in use.
    release: Function,
    /// Bytes that files may still grow by: the platform's estimate does not know of them.
    promised: Cell<u64>,
    files: Cell<u64>,
}

impl OpfsSpool {
    /// Opens a directory of its own, and removes what dead tabs have left.
    ///
    /// # Errors
    ///
    /// [`SpoolError::Unavailable`] outside of dedicated workers, or the platform's refusal.
    pub async fn open() -> Result<Self, SpoolError> {
        let navigator = host::get(&js_sys::global(), "navigator");
        let storage: StorageManager =
            host::get(&navigator, "storage").dyn_into().map_err(|_| SpoolError::Unavailable)?;
        let locks = host::get(&navigator, "locks");
        if locks.is_undefined() || host::get(&js_sys::global(), "FileSystemSyncAccessHandle").is_undefined() {
            return Err(SpoolError::Unavailable);
        }
        let locks: Locks = locks.unchecked_into();
        let top: FileSystemDirectoryHandle = JsFuture::from(storage.get_directory()).await?.dyn_into()?;
        let root = subdirectory(&top, ROOT).await?;
        sweep(&root, &locks).await?;
        let name = format!("{:016x}", (js_sys::Math::random() * 2f64.powi(53)) as u64);
        let release = hold(&locks, &name).await?;
        let own = subdirectory(&root, &name).await?;
        let (promised, files) = (Cell::new(0), Cell::new(0));
        Ok(Self(Rc::new(Directory { storage, root, own, name, release, promised, files })))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        remove(&self.root, &self.name);
        let _ = self.release.call0(&JsValue::UNDEFINED);
    }
}

async fn subdirectory(parent: &FileSystemDirectoryHandle, name: &str) -> Result<FileSystemDirectoryHandle, JsValue> {
    let options = FileSystemGetDirectoryOptions::new();
    options.set_create(true);
    JsFuture::from(parent.get_directory_handle_with_options(name, &options)).await?.dyn_into()
}

/// Removes a file or a directory with all in it, some time soon. Chromium lets go of a closed
/// file a moment later, so it is asked a few times; what then is left is swept by the next spool.
fn remove(parent: &FileSystemDirectoryHandle, name: &str) {
    let (parent, name) = (parent.clone(), name.to_owned());
    spawn_local(async move {
        for wait in [0, 20, 100, 500] {
            BrowserClock.sleep_until(BrowserClock.now() + Duration::from_millis(wait)).await;
            let options = FileSystemRemoveOptions::new();
            options.set_recursive(true);
            if JsFuture::from(parent.remove_entry_with_options(&name, &options)).await.is_ok() {
                return;
            }
        }
    });
}

fn lock_name(name: &str) -> String {
    format!("{ROOT}/{name}")
}

/// Takes a lock, and gives the function that ends it.
async fn hold(locks: &Locks, name: &str) -> Result<Function, SpoolError> {
    let mut release = None;
    let held = Promise::new(&mut |resolve: Function, _reject: Function| release = Some(resolve));
    let mut granted = None;
    let grant = Promise::new(&mut |resolve: Function, _reject: Function| granted = Some(resolve));
    let (Some(release), Some(granted)) = (release, granted) else { return Err(SpoolError::Unavailable) };
    let callback = Closure::once_into_js(move |_lock: JsValue| {
        let _ = granted.call0(&JsValue::UNDEFINED);
        JsValue::from(held)
    });
    let until_released = JsFuture::from(locks.request(&lock_name(name), &callback));
    spawn_local(async move {
        let _ = until_released.await;
    });
    JsFuture::from(grant).await?;
    Ok(release)
}

/// Removes the directories whose locks nobody holds.
async fn sweep(root: &FileSystemDirectoryHandle, locks: &Locks) -> Result<(), SpoolError> {
    let names = root.keys();
    loop {
        let next = JsFuture::from(names.next()?).await?;
        if host::get(&next, "done") != JsValue::FALSE {
            return Ok(());
        }
        let Some(name) = host::get(&next, "value").as_string() else { continue };
        let options = Object::new();
        let _ = Reflect::set(&options, &"ifAvailable".into(), &JsValue::TRUE);
        let (root, entry) = (root.clone(), name.clone());
        let callback = Closure::once_into_js(move |lock: JsValue| match lock.is_null() {
            true => JsValue::UNDEFINED, // it is in use
            false => {
                let options = FileSystemRemoveOptions::new();
                options.set_recursive(true);
                root.remove_entry_with_options(&entry, &options).into()
            }
        });
        let swept = locks.request_with(&lock_name(&name), &options, &callback);
        // A file that a dying worker has not let go of yet stays for the next one.
        let _ = JsFuture::from(swept).await;
    }
}

impl Spool for OpfsSpool {
    type Error = SpoolError;
    type File = OpfsFile;
    type Create = Pin<Box<dyn Future<Output = Result<OpfsFile, SpoolError>>>>;

    fn create(&self, bytes_max: u64) -> Self::Create {
        let directory = self.0.clone();
        Box::pin(async move {
            let estimate: StorageEstimate = JsFuture::from(directory.storage.estimate()?).await?.unchecked_into();
            let number = |name| host::get(&estimate, name).as_f64().unwrap_or(0.0) as u64;
            let taken = number("usage").saturating_add(directory.promised.get());
            let available = number("quota").saturating_sub(taken);
            if bytes_max > available {
                return Err(SpoolError::Full { needed: bytes_max, available });
            }
            let name = directory.files.replace(directory.files.get() + 1).to_string();
            let options = FileSystemGetFileOptions::new();
            options.set_create(true);
            let file = JsFuture::from(directory.own.get_file_handle_with_options(&name, &options)).await?;
            let file: FileSystemFileHandle = file.dyn_into()?;
            let handle = JsFuture::from(file.create_sync_access_handle()).await?;
            let handle: FileSystemSyncAccessHandle = handle.dyn_into()?;
            directory.promised.set(directory.promised.get() + bytes_max);
            Ok(OpfsFile { directory, name, handle, length: 0, bytes_max })
        })
    }
}

/// A temporary file. Gone when dropped.
#[derive(Debug)]
pub struct OpfsFile {
    directory: Rc<Directory>,
    name: String,
    handle: FileSystemSyncAccessHandle,
    /// `length <= bytes_max`.
    length: u64,
    bytes_max: u64,
}

impl Drop for OpfsFile {
    fn drop(&mut self) {
        self.handle.close();
        remove(&self.directory.own, &self.name);
        self.directory.promised.set(self.directory.promised.get() - self.bytes_max);
    }
}

fn at(offset: u64) -> FileSystemReadWriteOptions {
    let options = FileSystemReadWriteOptions::new();
    options.set_at(offset as f64);
    options
}

impl SpoolFile for OpfsFile {
    type Error = SpoolError;

    fn poll_append(mut self: Pin<&mut Self>, _cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize, SpoolError>> {
        if let Err(full) = room(bytes, self.bytes_max - self.length) {
            return Poll::Ready(Err(full));
        }
        let written = self.handle.write_with_u8_array_and_options(bytes, &at(self.length));
        Poll::Ready(written.map_err(SpoolError::from).map(|written| {
            self.length += written as u64;
            written as usize
        }))
    }

    fn poll_read_at(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        offset: u64,
        buffer: &mut [u8],
    ) -> Poll<Result<usize, SpoolError>> {
        let read = self.handle.read_with_u8_array_and_options(buffer, &at(offset));
        Poll::Ready(read.map(|read| read as usize).map_err(SpoolError::from))
    }
}

/// Whether `bytes` fit into what is left.
fn room(bytes: &[u8], available: u64) -> Result<(), SpoolError> {
    let needed = bytes.len() as u64;
    if needed <= available { Ok(()) } else { Err(SpoolError::Full { needed, available }) }
}

/// A spool in memory, for where there are no files: charged to a budget, at once and in full.
#[derive(Clone, Debug)]
pub struct MemorySpool(Budget);

impl MemorySpool {
    /// A spool that takes what `budget` has free.
    pub fn new(budget: &Budget) -> Self {
        Self(budget.clone())
    }
}

impl Spool for MemorySpool {
    type Error = SpoolError;
    type File = MemoryFile;
    type Create = Ready<Result<MemoryFile, SpoolError>>;

    fn create(&self, bytes_max: u64) -> Self::Create {
        // Who asks has a transfer's memory already, and so must not wait for more.
        let claim = self.0.claim(bytes_max).ok();
        let granted = claim.map(|mut claim| Pin::new(&mut claim).poll(&mut Context::from_waker(Waker::noop())));
        // What is free in the budget need not be in WebAssembly's memory.
        let mut bytes = Vec::new();
        let mut allocated = || bytes.try_reserve_exact(usize::try_from(bytes_max).unwrap_or(usize::MAX)).is_ok();
        ready(match granted {
            Some(Poll::Ready(reservation)) if allocated() => Ok(MemoryFile { bytes, _charged: reservation }),
            _ => Err(SpoolError::Full { needed: bytes_max, available: self.0.capacity() - self.0.reserved() }),
        })
    }
}

/// A temporary file in memory, charged until dropped.
#[derive(Debug)]
pub struct MemoryFile {
    /// Never beyond its first capacity.
    bytes: Vec<u8>,
    _charged: Reservation,
}

impl SpoolFile for MemoryFile {
    type Error = SpoolError;

    fn poll_append(mut self: Pin<&mut Self>, _cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize, SpoolError>> {
        let available = self.bytes.capacity() - self.bytes.len();
        Poll::Ready(room(bytes, available as u64).map(|()| {
            self.bytes.extend_from_slice(bytes);
            bytes.len()
        }))
    }

    fn poll_read_at(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        offset: u64,
        buffer: &mut [u8],
    ) -> Poll<Result<usize, SpoolError>> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(self.bytes.len());
        let length = buffer.len().min(self.bytes.len() - start);
        buffer[..length].copy_from_slice(&self.bytes[start..start + length]);
        Poll::Ready(Ok(length))
    }
}
