//! The entries that were streamed, kept until the central directory has confirmed each of them.
//!
//! A forward reader that trusts local headers can be shown other files than a reader that trusts
//! the directory ("zip cloaking", stacked archives, overlapping entries). So each central header
//! must match exactly one streamed entry, by offset, and no entry may be left over.
//!
//! An entry costs 40 bytes, and 8 more while names are compared: names are kept as hashes keyed
//! by the caller's seed. The table grows by chunks and never moves, so that what it allocates
//! is what it uses.

use std::hash::{DefaultHasher, Hasher};

use super::record::{COMPARED_FLAGS, HAS_DESCRIPTOR, Header};
use crate::{error::ErrorKind, limits::Allow};

pub(super) const ENTRY_BYTES: u64 = size_of::<Streamed>() as u64 + 8;
const CHUNK: usize = 64;
pub(super) const CHUNK_BYTES: u64 = CHUNK as u64 * ENTRY_BYTES;

pub(super) struct Directory {
    /// All but the last chunk hold [`CHUNK`] entries; offsets rise.
    chunks: Vec<Vec<Streamed>>,
    seed: u64,
    /// Central headers matched so far.
    pub(super) confirmed: u64,
}

struct Streamed {
    offset: u64,
    compressed_size: u64,
    size: u64,
    name_hash: u64,
    crc: u32,
    /// The flags that are compared, the method in the upper half of the unused bits.
    flags: u16,
    deflated: bool,
    confirmed: bool,
}

impl Directory {
    pub(super) fn new(seed: u64) -> Self {
        Self { chunks: Vec::new(), seed, confirmed: 0 }
    }

    /// SipHash of the name behind the secret seed. Bytes only: lengths differ by platform.
    pub(super) fn hash(&self, name: &[u8]) -> u64 {
        let mut hasher = DefaultHasher::new();
        hasher.write(&self.seed.to_le_bytes());
        hasher.write(name);
        hasher.finish()
    }

    /// Notes an entry whose data has been checked: `header` has its true sizes and checksum.
    pub(super) fn add(&mut self, header: &Header, name_hash: u64) {
        if self.chunks.last().is_none_or(|chunk| chunk.len() == CHUNK) {
            self.chunks.push(Vec::with_capacity(CHUNK));
        }
        let streamed = Streamed {
            offset: header.offset,
            compressed_size: header.compressed_size,
            size: header.size,
            name_hash,
            crc: header.crc,
            flags: header.flags & (COMPARED_FLAGS | HAS_DESCRIPTOR),
            deflated: header.method != super::record::STORED,
            confirmed: false,
        };
        if let Some(chunk) = self.chunks.last_mut() {
            chunk.push(streamed);
        }
    }

    pub(super) fn len(&self) -> u64 {
        self.chunks.iter().map(|chunk| chunk.len() as u64).sum()
    }

    /// Whether no two entries have the same name. Called once, when the last entry is in.
    pub(super) fn check_names(&self) -> Result<(), ErrorKind> {
        let mut hashes = Vec::with_capacity(self.len() as usize);
        hashes.extend(self.chunks.iter().flatten().map(|entry| entry.name_hash));
        hashes.sort_unstable();
        match hashes.windows(2).any(|pair| pair[0] == pair[1]) {
            true => Err(ErrorKind::DuplicateName),
            false => Ok(()),
        }
    }

    /// Matches a central header to the entry at its offset. `base` is where offsets count from.
    pub(super) fn confirm(
        &mut self,
        central: &Header,
        name_hash: u64,
        base: u64,
        allow: &Allow,
    ) -> Result<(), ErrorKind> {
        let missing = ErrorKind::MissingLocalEntry;
        let offset = central.offset.checked_add(base).ok_or(missing.clone())?;
        let after = self.chunks.partition_point(|chunk| chunk[0].offset <= offset);
        let chunk = after.checked_sub(1).and_then(|index| self.chunks.get_mut(index)).ok_or(missing.clone())?;
        let index = chunk.binary_search_by_key(&offset, |entry| entry.offset).map_err(|_| missing)?;
        let local = &mut chunk[index];
        if local.confirmed {
            return Err(ErrorKind::DuplicateCentralEntry);
        }
        let differs = |field| Err(ErrorKind::DirectoryMismatch { field });
        if local.name_hash != name_hash {
            return differs("name");
        }
        if local.deflated != (central.method == super::record::DEFLATED) || (!local.deflated && central.method != 0) {
            return differs("method");
        }
        if local.crc != central.crc {
            return differs("CRC-32");
        }
        if local.compressed_size != central.compressed_size {
            return differs("compressed size");
        }
        if local.size != central.size {
            return differs("size");
        }
        let flags = central.flags & (COMPARED_FLAGS | HAS_DESCRIPTOR);
        if (local.flags ^ flags) & COMPARED_FLAGS != 0 {
            return differs("flags");
        }
        if local.flags != flags && !allow.descriptor_flag_mismatch {
            return Err(ErrorKind::DescriptorFlagMismatch);
        }
        local.confirmed = true;
        self.confirmed += 1;
        Ok(())
    }

    pub(super) fn all_confirmed(&self) -> bool {
        self.chunks.iter().flatten().all(|entry| entry.confirmed)
    }
}
