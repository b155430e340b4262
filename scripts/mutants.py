#!/usr/bin/env python3
"""Breaks the code by hand, one change at a time, and expects a test to fail each time.

    python3 scripts/mutants.py            # all of them, some minutes
    python3 scripts/mutants.py budget     # those whose name contains a word

Every change is undone, also after Ctrl-C. Exit status 0 if all were caught.
"""

import os
import signal
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CORE, UNPACK = "crates/narrows-core/src/", "crates/narrows-unpack/src/"
SIM = ["cargo", "test", "--quiet", "-p", "narrows-core", "-p", "narrows-sim", "--tests"]
DECODERS = ["cargo", "test", "--quiet", "-p", "narrows-unpack", "--tests"]

# name, file, what stands there, what is put in its place, the tests that must notice
MUTANTS = [
    ("budget: a claim passes the queue", CORE + "budget.rs", "if !is_head || !state.take(this.bytes)", "if !state.take(this.bytes)", SIM),
    ("budget: the next claim is not woken", CORE + "budget.rs", "state.moves = state.moves.wrapping_add(1);\n        let next = state.head_waker();", "state.moves = state.moves.wrapping_add(1);\n        let next: Option<Waker> = None;", SIM),
    ("budget: a nested share is not given back", CORE + "budget.rs", "drop(claim);\n                self.budget.give_back_here(self.bytes);", "drop(claim);", SIM),
    ("lease: blocks out are not kept in the reservation", CORE + "lease.rs", "let blocks = u64::from(self.blocks_out) * self.block_bytes as u64;", "let blocks = 0;", SIM),
    ("lease: a block that comes back wakes nobody", CORE + "lease.rs", "                state.spare.push(buffer);\n            }\n            state.waiting.take()", "                state.spare.push(buffer);\n            }\n            None::<Waker>", SIM),
    ("answer: a part of another version is continued", CORE + "answer.rs", "match same_total && same_validator && same_date {", "match same_total {", SIM),
    ("answer: another part than was asked for is continued", CORE + "answer.rs", "if start != asked.start {", "if false {", SIM),
    ("answer: another length is replayed", CORE + "answer.rs", "match other || longer || other_date {", "match other {", SIM),
    ("answer: an end behind what was received completes", CORE + "answer.rs", "Some(total) if total == received && pinned", "Some(total) if pinned", SIM),
    ("lease: collecting again takes what is in use", CORE + "lease.rs", "state.set.shrink(Term::Collect, left - set_aside);", "", SIM),
    ("window: what has failed is no reason to wait", CORE + "window.rs", "|| waiting >= self.slots.open()", "|| waiting > usize::MAX - 1", SIM),
    ("reader: any format shows its own end", CORE + "reader.rs", "decoders.unpacker.format() == Some(Format::Zip)", "decoders.unpacker.format().is_some()", SIM),
    ("replay: a repeated beginning is not compared", CORE + "replay.rs", "match digest.is_some() && digest != expected {", "match false {", SIM),
    ("answer: another date is passed over", CORE + "answer.rs", "let same_date = pinned.modified == fresh.modified || vouched_for(pinned, &fresh);", "let same_date = true;", SIM),
    ("answer: a hidden part shorter than asked for is the end", CORE + "answer.rs", "asked.start.saturating_add(length))), total: None }", "asked.start.saturating_add(length))), total: Some(asked.start.saturating_add(length)) }", SIM),
    ("answer: a rewrapped part is the whole", CORE + "answer.rs", "head.range.is_some_and(|range| !is_whole(range, head.length))", "false", SIM),
    ("answer: a whole body as long as the part asked for is believed", CORE + "answer.rs", "if head.length.is_some() && head.length == part_length(asked)", "if false", SIM),
    ("answer: a first part that is refused is an empty file", CORE + "answer.rs", "(416, Some(_)) if received == 0 && head.range.is_none()", "(416, Some(_)) if false", SIM),
    ("transfer: a bare part is the whole", CORE + "transfer/receive.rs", "if self.status != Some(206) && !self.has_length && part == Some(self.bytes_in - self.bytes_before) {", "if false {", SIM),
    ("pending: a body of unknown length outgrows its segment", CORE + "pending.rs", "if chunk.len() <= bytes.capacity() - bytes.len() =>", "if true =>", SIM),
    ("transfer: a part is resumed, though nothing tells versions apart", CORE + "transfer/mod.rs", "if self.failures == 0 || self.pinned.tells_versions() {", "if true {", SIM),
    ("transfer: a cut body is complete", CORE + "transfer/receive.rs", "if repeating > 0 || self.received < wanted {", "if repeating > 0 {", SIM),
    ("transfer: a body longer than declared passes", CORE + "transfer/receive.rs", "end.filter(|end| after > *end)", "end.filter(|_| false)", SIM),
    ("transfer: digests are not checked", CORE + "transfer/receive.rs", "if let Err(kind) = self.digests.check(&self.source) {", "if let Some(kind) = None::<FailureKind> {", SIM),
    ("transfer: segments are requested without room", CORE + "transfer/mod.rs", "if self.drains() && self.pending.len() > self.options.segments_ahead as usize {", "if false {", SIM),
    ("transfer: a chunk is held beside another", CORE + "transfer/receive.rs", "if !drains && self.pending.len() > 0 {", "if false {", SIM),
    ("patience: a pause counts as idling", CORE + "patience.rs", "    pub(crate) fn pause(&mut self) {\n        self.wanting = None;", "    pub(crate) fn pause(&mut self) {", SIM),
    ("patience: a late timer counts", CORE + "patience.rs", "if now.since(deadline) <= LATE {", "if true {", SIM),
    ("retry: what cannot pass is retried", CORE + "failure.rs", "Self::Status(status) => matches!(status, 408 | 425 | 429 | 500 | 502..=504 | 520..=524 | 530),", "Self::Status(_) => true,", SIM),
    ("flight: a source that is over keeps its place", CORE + "flight.rs", "self.ticket.over(self.clock.now());\n        self.slot = None;", "self.ticket.over(self.clock.now());", SIM),
    ("flight: dropping one does not end it", CORE + "flight.rs", "    fn drop(&mut self) {\n        let _ = self.settle(Verdict::Dropped);", "    fn drop(&mut self) {", SIM),
    ("flight: what came is done before it is committed", CORE + "flight.rs", "(Some(Over::Proven(proof)), Verdict::Committed) => Outcome::Done(proof),", "(Some(Over::Proven(proof)), _) => Outcome::Done(proof),", SIM),
    ("flight: what could not be stored is done", CORE + "flight.rs", "Some(over) => *over = failed,", "Some(_) => {}", SIM),
    ("flight: done is said when everything has come", CORE + "flight.rs", "self.end(Over::Proven(proof));", "self.end(Over::Proven(proof));\n                let figures = self.figures();\n                let _ = self.ticket.settle(Outcome::Done(proof), figures);", SIM),
    ("ticket: a source is reported twice", CORE + "ticket.rs", "let stage = mem::replace(&mut self.stage, Stage::Settled);", "let stage = self.stage;", SIM),
    ("ticket: a pulled source that is dropped is told to nobody", CORE + "ticket.rs", "if let Stage::Queued | Stage::Over(_) = self.stage {", "if let Stage::Over(_) = self.stage {", SIM),
    ("ticket: observers are not told", CORE + "ticket.rs", "self.ledger.tell_ended(report.clone());", "", SIM),
    ("delivery: dropping one does not end it", CORE + "delivery.rs", "        if !self.is_settled {", "        if false {", SIM),
    ("window: what waits for memory is forgotten when it is cancelled", CORE + "window.rs", "        self.admitting = None; // its ticket tells that it is cancelled", "        if let Some(admission) = self.admitting.take() {\n            std::mem::forget(admission.waiting);\n        }", SIM),
    ("lease: a block too many waits for ever", CORE + "lease.rs", "            return Err(BlocksHeld(state.blocks_out));", "            return Err(BlocksHeld(0));", SIM),
    ("stall: a wait for others is not told of", CORE + "stall.rs", "if moves == watched.moves {", "if false {", SIM),
    ("stall: a slow consumer of its own is taken for one", CORE + "stall.rs", "if self.is_told || holds {", "if self.is_told {", SIM),
    ("lines: entries are put together", CORE + "lines.rs", "Output::EntryEnd(_) | Output::End if !self.carry.bytes().is_empty()", "Output::End if !self.carry.bytes().is_empty()", SIM),
    ("budget: a lowered target is not kept", CORE + "budget.rs", "bytes <= self.target.saturating_sub(self.reserved)", "bytes <= self.capacity.saturating_sub(self.reserved)", SIM),
    ("failure: refusals of TLS are retried", CORE + "failure.rs", "| FetchErrorKind::Interrupted => true,\n                FetchErrorKind::Tls\n", "| FetchErrorKind::Tls\n                | FetchErrorKind::Interrupted => true,\n                FetchErrorKind::BadUrl\n", SIM),
    ("window: more are admitted than the limit", CORE + "slots.rs", "state.taken < state.limit", "state.taken <= state.limit", SIM),
    ("window: list order is not kept", CORE + "ready.rs", "let delivery = waiting.remove(next)?;", "let delivery = waiting.pop_last()?.1;", SIM),
    ("ledger: bytes in hand are not counted down", CORE + "ledger.rs", "self.stats.held -= bytes;", "let _ = bytes;", SIM),
    ("rate: a burst that is past is not counted", CORE + "rate.rs", "        if now > self.due {", "        if true {", SIM),
    ("pace: a volley cuts once for each refusal", CORE + "pace.rs", "if self.cut_at.is_some_and(|cut| sent <= cut) {", "if false {", SIM),
    ("pace: a limit on bodies never returns", CORE + "pace.rs", "            self.limit += 1;", "", SIM),
    ("pace: a rate never returns", CORE + "pace.rs", "            *rate *= step;", "            let _ = step;", SIM),
    ("hosts: a transfer keeps its place after its end", CORE + "hosts.rs", "self.hosts.with(&self.name, |host, _| host.in_flight -= 1);", "", SIM),
    ("hosts: no host is fairly treated", CORE + "hosts.rs", "chosen.is_none_or(|(_, fewest, ..)| in_flight < fewest)", "chosen.is_none()", SIM),
    ("hosts: a stated rate is not kept", CORE + "hosts.rs", "            table.take_request(&self.name, now);\n", "", SIM),
    ("hosts: a breaker never closes", CORE + "hosts.rs", "(host.has_answered, host.refusals, host.down_until) = (true, 0, None);", "(host.has_answered, host.refusals) = (true, 0);", SIM),
    ("hosts: refusals are the sources' own", CORE + "hosts.rs", "is_hosts: host.has_answered && others", "is_hosts: false", SIM),
    ("hosts: Retry-After concerns one source", CORE + "hosts.rs", "host.blocked_until = host.blocked_until.max(now + asked);", "let _ = asked;", SIM),
    ("flight: what backs off keeps its memory", CORE + "flight.rs", "        self.lease.suspend();\n", "", SIM),
    ("window: nothing is looked ahead", CORE + "lookahead.rs", "self.entries.is_empty() || (self.entries.len() < self.entries_max && self.bytes < BYTES_MAX)", "self.entries.is_empty()", SIM),
    ("batch: a dropped batch is delivered", CORE + "batch/in_flight.rs", "vec![Verdict::Again(\"the batch was dropped\".into()); self.items.len()]", "vec![Verdict::Ended(End::Delivered); self.items.len()]", SIM),
    ("batch: attempts are not counted", CORE + "batch/buffer.rs", "batch.iter_mut().for_each(|held| held.attempts += 1);", "batch.iter_mut().for_each(|held| held.attempts = 1);", SIM),
    ("batch: a destination that is down costs attempts", CORE + "batch/buffer.rs", "                    held.attempts -= 1;\n", "", SIM),
    ("batch: bytes are not given back", CORE + "batch/buffer.rs", "        self.reservation.shrink_to(self.bytes.max(self.options.item_bytes_max));", "", SIM),
    ("batch: age is not looked after", CORE + "batch/buffer.rs", "if now.since(held.pushed) > self.options.age_max {", "if false {", SIM),
    ("batch: priority starves the others", CORE + "batch/buffer.rs", "let earlier = worth.saturating_mul(item.priority.unsigned_abs());", "let earlier = worth.saturating_mul(1 << 20);", SIM),
    ("batch: the circuit never closes", CORE + "batch/breaker.rs", "        *self = Self::new(self.after, self.first);", "", SIM),
    ("batch: a push that waits makes no batch due", CORE + "batch/buffer.rs", "let is_full = self.pushers > 0", "let is_full = false", SIM),
    ("batch: a push that waits wakes its own task", CORE + "batch/mod.rs", "shared.tell(state, is_new, false);", "shared.tell(state, true, false);", SIM),
    ("spill: what is pushed passes what was spilled", CORE + "batch/spill.rs", "inner.files().spilled.items == 0);", "true);", SIM),
    ("spill: a torn file is written on", CORE + "batch/spill.rs", "        segment.is_torn = true;\n", "", SIM),
    ("spill: a file that was read keeps its room", CORE + "batch/spill.rs", "self.change(|files| files.spilled.bytes -= read.bytes_max);", "", SIM),
    ("spill: closing forgets what is in storage", CORE + "batch/spill.rs", "if self.files().spilled.items == 0 {", "if true {", SIM),
    ("spill: time in storage is not counted", CORE + "batch/record.rs", "item.born.unwrap_or(now)", "item.born.unwrap_or(now + Duration::from_secs(1000))", SIM),
    ("hosts: windows mistake each other's sources", CORE + "host.rs", "    url.hash(&mut hasher);\n", "    let _ = url;\n", SIM),
    ("guard: standing still is not seen", CORE + "guard/governor.rs", "self.part().max(floor)", "self.part().max(0.0 * floor)", SIM),
    ("guard: levels fall as they rise", CORE + "guard/level.rs", "Self::Evict | Self::Stop if risen < Self::Stop && part >= BACK => Self::Stop,", "Self::Evict | Self::Stop if false => Self::Stop,", SIM),
    ("guard: a pause has no exceptions", CORE + "guard/governor.rs", "                advice.exceptions += 1;", "", SIM),
    ("guard: a window shrinks to none", CORE + "guard/mod.rs", ".clamp(1, limit.max(1))", ".clamp(0, limit.max(1))", SIM),
    ("guard: what is sent back counts an attempt", CORE + "transfer/backoff.rs", "        (self.failures, self.grown) = (0, 0);", "        self.retries += 1;", SIM),
    ("plateau: one fewer is never tried", CORE + "plateau.rs", "false if self.limit > 1 => self.set(self.limit - 1, Phase::Down(self.limit)),", "false if false => {}", SIM),
    ("journal: a line that was changed keeps its range", CORE + "journal/mod.rs", "if sum == expected {", "if true {", SIM),
    ("journal: a log that forgot a line is not written anew", CORE + "journal/mod.rs", "            self.appended = APPENDED_MAX + 1;", "", SIM),
    ("journal: lines may change places", CORE + "journal/mod.rs", "(id ^ position.wrapping_mul(0x9e37_79b9_7f4a_7c15))", "(id ^ position.wrapping_mul(0))", SIM),
    ("journal: a torn record is read", CORE + "journal/record.rs", "if crc32fast::hash(payload) != u32::from_le_bytes(*sum) {", "if false {", SIM),
    ("journal: what is done is added twice", CORE + "journal/ranges.rs", "if self.ranges.get(at).is_some_and(|next| next.start < end) {", "if false {", SIM),
    ("reader: what is void is decoded on", CORE + "reader.rs", "        self.abort(lease);\n        (self.entry_end, self.is_restarted) = (None, true);", "        (self.entry_end, self.is_restarted) = (None, true);", SIM),
    ("flight: what is void counts", CORE + "flight.rs", "                (self.entries, self.bytes_out) = (0, 0);", "", SIM),
    ("transfer: a restart is not told", CORE + "transfer/receive.rs", "        self.is_restarted |= self.consumed > 0;\n", "", SIM),
    ("chance: the first refusal of a volley is all of it", CORE + "chance.rs", "            *largest = share.max(*largest);", "            let _ = (share, largest);", SIM),
    ("chance: one refusal is a bound", CORE + "chance.rs", "self.is_chance || (!knows_bound && refused * FEW <= self.seen)", "self.is_chance", SIM),
    ("zip: checksums are not checked", UNPACK + "zip/mod.rs", "if header.crc != crc {", "if false {", DECODERS),
    ("zip: trailing data passes", UNPACK + "zip/mod.rs", "if !self.allow.trailing_data && input.iter().any(|&byte| byte != 0) {", "if false {", DECODERS),
    ("zip: duplicate names pass", UNPACK + "zip/mod.rs", "if !self.allow.duplicate_names {", "if false {", DECODERS),
    ("zip: the directory's sizes are not compared", UNPACK + "zip/directory.rs", "if local.size != central.size {", "if false {", DECODERS),
    ("zip: the directory's names are not compared", UNPACK + "zip/directory.rs", "if local.name_hash != name_hash {", "if false {", DECODERS),
    ("zip: the number of entries is not compared", UNPACK + "zip/record.rs", "if self.entries != actual.entries {", "if false {", DECODERS),
    ("zip: a length from the directory is not checked", UNPACK + "zip/record.rs", "    if short(0) == actual {\n        return Ok(12);\n    }", "    if short(0) == actual || actual.0 != 0 {\n        return Ok(12);\n    }", DECODERS),
    ("gzip: trailing garbage passes", UNPACK + "gzip.rs", "State::BetweenMembers | State::Padding if byte == 0 || self.allow.trailing_data =>", "State::BetweenMembers | State::Padding =>", DECODERS),
    ("limits: the ratio is not checked", UNPACK + "meter.rs", "if self.entry_bytes > limits.ratio_floor && self.entry_bytes > consumed.saturating_mul(ratio_max) {", "if false {", DECODERS),
    ("limits: entries are not counted", UNPACK + "meter.rs", "if self.entries >= u64::from(self.limits.entries_max) {", "if false {", DECODERS),
]


def run(command):
    """Its exit status and what it wrote to stderr. One that hangs is ended, tests and all: a status of None."""
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    child = subprocess.Popen(command, cwd=ROOT, text=True, start_new_session=True, **pipes)
    try:
        _, errors = child.communicate(timeout=600)
        return child.returncode, errors
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        child.communicate()
        return None, ""


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
            status, errors = run(tests + ["--no-run"])
            if status != 0:
                raise SystemExit(f"{name}: does not compile:\n{errors[-2000:]}")
            caught = run(tests)[0] != 0
        finally:
            with open(path, "w") as file:
                file.write(original)
        print(f"{'caught  ' if caught else 'SURVIVED'}  {name}", flush=True)
        if not caught:
            survived.append(name)
    print(f"{len(chosen) - len(survived)} of {len(chosen)} caught")
    raise SystemExit(bool(survived))


main()
