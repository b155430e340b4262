//! From the bytes on the wire to entries and blocks: decode the `Content-Encoding`, unpack, and
//! fill one block at a time, only when somebody asks for it. What waits is compressed.

use std::task::{Context, Poll};

use narrows_unpack::{Entry, EntryEnd, Event, Format, Limits, Unpacker};

use crate::{
    clock::Clock,
    failure::{Failure, FailureKind},
    fetch::Fetch,
    head::is_gzip,
    lease::{Block, BlocksHeld, Lease},
    options::{DECODED_BYTES, Options},
    transfer::Transfer,
    working_set::Term,
};

/// What a reader gives, in order.
pub(crate) enum Output {
    Entry(Box<Entry>),
    Block(Block),
    EntryEnd(EntryEnd),
    End,
}

pub(crate) struct Reader {
    decoders: Option<Decoders>,
    /// The block being filled.
    buffer: Option<Vec<u8>>,
    /// To be told once the block before it has been handed out.
    entry_end: Option<EntryEnd>,
    /// What was decoded before is void.
    is_restarted: bool,
}

struct Decoders {
    content: Option<ContentDecoder>,
    unpacker: Unpacker,
}

/// Decodes a `Content-Encoding` into a buffer of its own.
struct ContentDecoder {
    unpacker: Unpacker,
    decoded: Vec<u8>,
    taken: usize,
    ended: bool,
}

/// Bytes of a zip that its smallest entry takes: local header, central header, a name each.
const ZIP_ENTRY_BYTES_MIN: u64 = 30 + 46;

impl Reader {
    pub(crate) fn new() -> Self {
        Self { decoders: None, buffer: None, entry_end: None, is_restarted: false }
    }

    /// Whether the format itself shows where the data ends. Of gzip and zstd another member or
    /// frame could always have followed.
    pub(crate) fn tells_its_end(&self) -> bool {
        self.decoders.as_ref().is_some_and(|decoders| decoders.unpacker.format() == Some(Format::Zip))
    }

    /// The next thing to hand out. Blocks are full except before a pause in the network and at
    /// the end of an entry.
    pub(crate) fn poll_output<F: Fetch, C: Clock>(
        &mut self,
        cx: &mut Context<'_>,
        transfer: &mut Transfer<F, C>,
        lease: &Lease,
        options: &Options,
        clock: &C,
    ) -> Poll<Result<Output, Failure>> {
        loop {
            if let Some(ended) = self.entry_end.take() {
                return Poll::Ready(Ok(Output::EntryEnd(ended)));
            }
            // Bytes decoded earlier need no network, yet the network is driven all the same.
            let available = transfer.poll_available(cx);
            // One that began anew may have failed since, which is its end.
            if !matches!(available, Poll::Ready(Err(_))) && transfer.take_restart() {
                return Poll::Ready(Err(self.restart(transfer, lease, options)));
            }
            match available {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(failure)) => return Poll::Ready(Err(failure)),
                Poll::Pending if self.has_decoded() => {}
                Poll::Pending => match self.take_block(lease, clock) {
                    Some(block) => return Poll::Ready(Ok(Output::Block(block))),
                    None => return Poll::Pending,
                },
            }
            let decoders = match &mut self.decoders {
                Some(decoders) => decoders,
                none => match Decoders::new(transfer, lease, options, self.is_restarted) {
                    Ok(decoders) => none.insert(decoders),
                    Err(kind) => return Poll::Ready(Err(transfer.failure(kind, None))),
                },
            };
            let buffer = match &mut self.buffer {
                Some(buffer) => buffer,
                none => match lease.buffer() {
                    Ok(buffer) => none.insert(buffer),
                    Err(BlocksHeld(held)) => {
                        return Poll::Ready(Err(transfer.failure(FailureKind::BlocksHeld { held }, None)));
                    }
                },
            };
            let event = match decoders.step(transfer, buffer) {
                Ok(event) => event,
                Err(error) => return Poll::Ready(Err(transfer.failure(FailureKind::Unpack(error), None))),
            };
            match event {
                Event::NeedInput => {}
                Event::Entry(entry) => return Poll::Ready(Ok(Output::Entry(entry))),
                Event::Full => {
                    if let Some(block) = self.take_block(lease, clock) {
                        return Poll::Ready(Ok(Output::Block(block)));
                    }
                }
                Event::EntryEnd(ended) => {
                    self.entry_end = Some(ended);
                    if let Some(block) = self.take_block(lease, clock) {
                        return Poll::Ready(Ok(Output::Block(block)));
                    }
                }
                Event::End => return Poll::Ready(Ok(Output::End)),
            }
        }
    }

    fn has_decoded(&self) -> bool {
        let content = self.decoders.as_ref().and_then(|decoders| decoders.content.as_ref());
        content.is_some_and(|content| content.taken < content.decoded.len())
    }

    fn take_block<C: Clock>(&mut self, lease: &Lease, clock: &C) -> Option<Block> {
        let buffer = self.buffer.take_if(|buffer| !buffer.is_empty())?;
        Some(lease.block(buffer, clock.now()))
    }

    /// Whether a block is being filled.
    pub(crate) fn is_filling(&self) -> bool {
        self.buffer.is_some()
    }

    /// Throws away what was decoded, and says so. What was given back when the content was known is needed again, for
    /// it may be another now.
    fn restart<F: Fetch, C: Clock>(&mut self, transfer: &Transfer<F, C>, lease: &Lease, options: &Options) -> Failure {
        self.abort(lease);
        (self.entry_end, self.is_restarted) = (None, true);
        let set = options.working_set_of(transfer.profile(), transfer.source());
        let has_room = [Term::ContentDecoder, Term::Decoder].into_iter().all(|term| lease.regrow(term, set.get(term)));
        transfer.failure(if has_room { FailureKind::Restarted } else { FailureKind::Changed }, None)
    }

    /// Gives the block being filled back to the lease.
    pub(crate) fn abort(&mut self, lease: &Lease) {
        self.decoders = None;
        if let Some(buffer) = self.buffer.take() {
            lease.put_back(buffer);
        }
    }
}

impl Decoders {
    /// Chooses the decoders now that the answer is known, and gives back what they don't need.
    fn new<F: Fetch, C: Clock>(
        transfer: &Transfer<F, C>,
        lease: &Lease,
        options: &Options,
        is_restarted: bool,
    ) -> Result<Self, FailureKind> {
        let content = match transfer.encoding() {
            None => None,
            Some(name) => Some(ContentDecoder::new(name, options)?),
        };
        let mut wanted = options.unpack_of(transfer.source());
        if let Some(unpack) = &mut wanted {
            // `x.gz` may have been served as gzip-encoded `x`.
            let is_decoded = content.is_some() || transfer.is_decoded;
            unpack.or_plain |= is_decoded && unpack.expected == Some(Format::Gzip);
        }
        let mut unpack = wanted.unwrap_or_else(|| narrows_unpack::Options {
            format: Some(Format::Plain),
            // Bytes as they come are limited by the size of the file alone; what was inflated on
            // the way, by the options' `content_limits`.
            limits: Limits { entry_bytes_max: u64::MAX, archive_bytes_max: u64::MAX, ..Limits::default() },
            ..narrows_unpack::Options::default()
        });
        if content.is_none() {
            lease.keep(Term::ContentDecoder, 0);
            if let Some(total) = transfer.total() {
                // The body is cut off at `total`, so it holds no more entries than that.
                let entries = u32::try_from(total / ZIP_ENTRY_BYTES_MIN + 1).unwrap_or(u32::MAX);
                unpack.limits.entries_max = unpack.limits.entries_max.min(entries);
                // Where it began anew, there are blocks already.
                if unpack.format == Some(Format::Plain) && !is_restarted {
                    lease.cap_blocks(total);
                }
            }
        }
        lease.keep(Term::Decoder, unpack.memory_max());
        Ok(Self { content, unpacker: Unpacker::new(unpack) })
    }

    fn step<F: Fetch, C: Clock>(
        &mut self,
        transfer: &mut Transfer<F, C>,
        buffer: &mut Vec<u8>,
    ) -> Result<Event, narrows_unpack::Error> {
        let Some(content) = &mut self.content else {
            let available = transfer.available();
            let step = self.unpacker.step(available.bytes, available.end, buffer)?;
            transfer.consume(step.consumed);
            return Ok(step.event);
        };
        if content.taken == content.decoded.len() && !content.ended {
            content.decoded.clear();
            content.taken = 0;
            let available = transfer.available();
            let step = content.unpacker.step(available.bytes, available.end, &mut content.decoded)?;
            transfer.consume(step.consumed);
            content.ended = matches!(step.event, Event::End);
        }
        let step = self.unpacker.step(&content.decoded[content.taken..], content.ended, buffer)?;
        content.taken += step.consumed;
        Ok(step.event)
    }
}

impl ContentDecoder {
    fn new(encoding: &str, options: &Options) -> Result<Self, FailureKind> {
        if !is_gzip(encoding) {
            return Err(FailureKind::Encoding(encoding.into()));
        }
        let unpacked = || options.unpack.as_ref().map(|unpack| unpack.limits.clone());
        let limits = options.content_limits.clone().or_else(unpacked).unwrap_or_default();
        let unpack = narrows_unpack::Options { format: Some(Format::Gzip), limits, ..Default::default() };
        let unpacker = Unpacker::new(unpack);
        Ok(Self { unpacker, decoded: Vec::with_capacity(DECODED_BYTES), taken: 0, ended: false })
    }
}
