#!/usr/bin/env python3
"""Breaks the code by hand, one change at a time, and expects a test to fail each time.

    python3 scripts/mutants.py            # all of them, some minutes
    python3 scripts/mutants.py budget     # those whose name contains a word

Every change is undone, also after Ctrl-C. Exit status 0 if all were caught.
"""

import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CORE, UNPACK = "crates/narrows-core/src/", "crates/narrows-unpack/src/"
SIM = ["cargo", "test", "--quiet", "-p", "narrows-core", "-p", "narrows-sim", "--tests"]
DECODERS = ["cargo", "test", "--quiet", "-p", "narrows-unpack", "--tests"]

# name, file, what stands there, what is put in its place, the tests that must notice
MUTANTS = [
    ("budget: a claim passes the queue", CORE + "budget.rs", "if !is_head || !state.take(self.bytes)", "if !state.take(self.bytes)", SIM),
    ("budget: the next claim is not woken", CORE + "budget.rs", "state.reserved -= bytes;\n        let next = state.head_waker();", "state.reserved -= bytes;\n        let next: Option<Waker> = None;", SIM),
    ("budget: a nested share is not given back", CORE + "budget.rs", "drop(claim);\n                self.budget.give_back_here(self.bytes);", "drop(claim);", SIM),
    ("lease: blocks out are not kept in the reservation", CORE + "lease.rs", "let before = state.reservation.bytes();\n        let left = u64::from(state.blocks_out) * state.block_bytes as u64;\n        state.reservation.shrink_to(left);\n        let from", "let before = state.reservation.bytes();\n        let left = 0;\n        state.reservation.shrink_to(left);\n        let from", SIM),
    ("lease: a block that comes back wakes nobody", CORE + "lease.rs", "let waiting = state.waiting.take();\n        drop(state);", "let waiting: Option<Waker> = None;\n        drop(state);", SIM),
    ("answer: a part of another version is continued", CORE + "answer.rs", "match same_total && same_validator && same_date {", "match same_total {", SIM),
    ("answer: another part than was asked for is continued", CORE + "answer.rs", "if start != asked.start {", "if false {", SIM),
    ("answer: another length is replayed", CORE + "answer.rs", "match other || longer || other_date {", "match other {", SIM),
    ("answer: an end behind what was received completes", CORE + "answer.rs", "Some(total) if total == received && pinned", "Some(total) if pinned", SIM),
    ("lease: collecting again takes what is in use", CORE + "lease.rs", "state.collect_left -= set_aside;", "", SIM),
    ("window: what has failed is no reason to wait", CORE + "window.rs", "|| waiting >= self.slots.limit()", "|| waiting > usize::MAX - 1", SIM),
    ("reader: any format shows its own end", CORE + "reader.rs", "decoders.unpacker.format() == Some(Format::Zip)", "decoders.unpacker.format().is_some()", SIM),
    ("transfer: a repeated beginning is not compared", CORE + "transfer.rs", "if digest.is_some() && digest != expected {", "if false {", SIM),
    ("answer: another date is passed over", CORE + "answer.rs", "let same_date = pinned.modified == fresh.modified || vouched_for(pinned, &fresh);", "let same_date = true;", SIM),
    ("answer: a hidden part shorter than asked for is taken for any", CORE + "answer.rs", "let is_last = asked.end.is_none_or(|asked_end| end < asked_end);", "let is_last = false;", SIM),
    ("transfer: a body of unknown length outgrows its segment", CORE + "transfer.rs", "if chunk.len() > bytes.capacity() - bytes.len() {", "if false {", SIM),
    ("transfer: a part is resumed, though nothing tells versions apart", CORE + "transfer.rs", "if self.failures == 0 || self.pinned.tells_versions() {", "if true {", SIM),
    ("transfer: a cut body is complete", CORE + "transfer.rs", "if repeating > 0 || self.received < wanted {", "if repeating > 0 {", SIM),
    ("transfer: a body longer than declared passes", CORE + "transfer.rs", "end.filter(|end| after > *end)", "end.filter(|_| false)", SIM),
    ("transfer: digests are not checked", CORE + "transfer.rs", "if let Err(kind) = self.digests.check(&self.source) {", "if let Some(kind) = None::<FailureKind> {", SIM),
    ("transfer: segments are requested without room", CORE + "transfer.rs", "if self.pending.len() > self.options.segments_ahead as usize {", "if false {", SIM),
    ("transfer: a chunk is held beside another", CORE + "transfer.rs", "if !drains && !self.pending.is_empty() {", "if false {", SIM),
    ("patience: a pause counts as idling", CORE + "patience.rs", "    pub(crate) fn pause(&mut self) {\n        self.wanting = None;", "    pub(crate) fn pause(&mut self) {", SIM),
    ("patience: a late timer counts", CORE + "patience.rs", "if now.since(deadline) <= LATE {", "if true {", SIM),
    ("retry: what cannot pass is retried", CORE + "failure.rs", "Self::Status(status) => matches!(status, 408 | 425 | 429 | 500 | 502 | 503 | 504),", "Self::Status(_) => true,", SIM),
    ("flight: an ended source keeps its place", CORE + "flight.rs", "self.report = Some(report);\n        self.slot = None;", "self.report = Some(report);", SIM),
    ("flight: dropping one does not end it", CORE + "flight.rs", "    fn drop(&mut self) {\n        self.end(Outcome::Cancelled);", "    fn drop(&mut self) {", SIM),
    ("window: more are admitted than the limit", CORE + "flight.rs", "state.taken < state.limit", "state.taken <= state.limit", SIM),
    ("window: list order is not kept", CORE + "window.rs", "let delivery = waiting.remove(next)?;", "let delivery = waiting.pop_last()?.1;", SIM),
    ("stats: bytes in hand are not counted down", CORE + "stats.rs", "self.stats.held -= bytes;", "let _ = bytes;", SIM),
    ("zip: checksums are not checked", UNPACK + "zip/mod.rs", "if header.crc != crc {", "if false {", DECODERS),
    ("zip: trailing data passes", UNPACK + "zip/mod.rs", "if !self.allow.trailing_data && input.iter().any(|&byte| byte != 0) {", "if false {", DECODERS),
    ("zip: duplicate names pass", UNPACK + "zip/mod.rs", "if !self.allow.duplicate_names {", "if false {", DECODERS),
    ("zip: the directory's sizes are not compared", UNPACK + "zip/directory.rs", "if local.size != central.size {", "if false {", DECODERS),
    ("zip: the directory's names are not compared", UNPACK + "zip/directory.rs", "if local.name_hash != name_hash {", "if false {", DECODERS),
    ("zip: the number of entries is not compared", UNPACK + "zip/mod.rs", "if record.entries != actual.entries {", "if false {", DECODERS),
    ("gzip: trailing garbage passes", UNPACK + "gzip.rs", "State::BetweenMembers | State::Padding if byte == 0 || self.allow.trailing_data =>", "State::BetweenMembers | State::Padding =>", DECODERS),
    ("limits: the ratio is not checked", UNPACK + "limits.rs", "if self.entry_bytes > limits.ratio_floor && self.entry_bytes > consumed.saturating_mul(ratio_max) {", "if false {", DECODERS),
    ("limits: entries are not counted", UNPACK + "limits.rs", "if self.entries >= u64::from(self.limits.entries_max) {", "if false {", DECODERS),
]


def run(command):
    return subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, timeout=900)


def main():
    words = sys.argv[1:]
    chosen = [mutant for mutant in MUTANTS if not words or any(word in mutant[0] for word in words)]
    survived = []
    for name, path, before, after, tests in chosen:
        path = os.path.join(ROOT, path)
        with open(path) as file:
            original = file.read()
        if original.count(before) != 1:
            raise SystemExit(f"{name}: the place to change is there {original.count(before)} times")
        try:
            with open(path, "w") as file:
                file.write(original.replace(before, after))
            built = run(tests + ["--no-run"])
            if built.returncode:
                raise SystemExit(f"{name}: does not compile:\n{built.stderr[-2000:]}")
            try:
                caught = run(tests).returncode != 0
            except subprocess.TimeoutExpired:
                caught = True
        finally:
            with open(path, "w") as file:
                file.write(original)
        print(f"{'caught  ' if caught else 'SURVIVED'}  {name}", flush=True)
        if not caught:
            survived.append(name)
    print(f"{len(chosen) - len(survived)} of {len(chosen)} caught")
    raise SystemExit(bool(survived))


main()
