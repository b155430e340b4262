//! Pages of a row group in a temporary file: without a name, so that a killed process leaves none.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use narrows_tables::{PageKey, PageStore, PageStoreArgs, PageStoreFactory, ParquetError};

/// The pages of one table's columns, in one file. When those of a row group have been taken, their room is
/// used again.
#[derive(Clone, Debug)]
pub(crate) struct TempPages(Arc<Mutex<Pages>>);

#[derive(Debug)]
struct Pages {
    file: File,
    end: u64,
    /// Stores that have not been dropped.
    stores: usize,
}

impl TempPages {
    /// In a file in this directory.
    pub(crate) fn new(directory: &Path) -> io::Result<Self> {
        let file = tempfile::tempfile_in(directory)?;
        Ok(Self(Arc::new(Mutex::new(Pages { file, end: 0, stores: 0 }))))
    }

    fn with<T>(&self, change: impl FnOnce(&mut Pages) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

type Result<T> = std::result::Result<T, ParquetError>;

impl PageStoreFactory for TempPages {
    fn create(&self, _args: &PageStoreArgs<'_>) -> Result<Box<dyn PageStore>> {
        self.with(|pages| {
            if pages.stores == 0 {
                pages.end = 0;
            }
            pages.stores += 1;
        });
        Ok(Box::new(Store { pages: self.clone(), places: Vec::new() }))
    }
}

/// The pages of a column.
struct Store {
    pages: TempPages,
    /// Where each is, and how long.
    places: Vec<(u64, usize)>,
}

impl PageStore for Store {
    fn put(&mut self, value: Bytes) -> Result<PageKey> {
        let at = self.pages.with(|pages| {
            pages.file.write_all_at(&value, pages.end)?;
            pages.end += value.len() as u64;
            Ok::<_, io::Error>(pages.end - value.len() as u64)
        })?;
        self.places.push((at, value.len()));
        Ok(PageKey::new(self.places.len() as u64 - 1))
    }

    fn take(&mut self, key: PageKey) -> Result<Bytes> {
        let (at, length) = self.places[key.get() as usize];
        let mut page = vec![0; length];
        self.pages.with(|pages| pages.file.read_exact_at(&mut page, at))?;
        Ok(page.into())
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.pages.with(|pages| pages.stores -= 1);
    }
}
