//! What of a list is done, as ranges. Neighbours are joined up to a length that grows with their number: so
//! there are few, and a line that was changed makes only its own range untrue.

use super::RANGES_MAX;

/// Joined ranges are at least this long before longer ones are made.
const LENGTH_MIN: u64 = 1024;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Range {
    start: u64,
    count: u64,
    /// Over its lines.
    sum: u64,
}

impl Range {
    fn end(&self) -> u64 {
        self.start + self.count
    }
}

/// Invariants: sorted, disjoint, none empty, at most [`RANGES_MAX`].
#[derive(Clone, Debug)]
pub(super) struct Ranges {
    ranges: Vec<Range>,
    /// Neighbours are joined up to this length.
    length_max: u64,
}

impl Default for Ranges {
    fn default() -> Self {
        Self { ranges: Vec::new(), length_max: LENGTH_MIN }
    }
}

impl Ranges {
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, u64, u64)> + '_ {
        self.ranges.iter().map(|range| (range.start, range.count, range.sum))
    }

    /// The first range that does not end before this position.
    fn at(&self, position: u64) -> usize {
        self.ranges.partition_point(|range| range.end() <= position)
    }

    pub(super) fn contains(&self, position: u64) -> bool {
        self.ranges.get(self.at(position)).is_some_and(|range| range.start <= position)
    }

    /// Adds a range. One that overlaps what is there is passed over: it says nothing new that could be joined.
    pub(super) fn insert(&mut self, start: u64, count: u64, sum: u64) {
        let Some(end) = start.checked_add(count).filter(|_| count > 0) else { return };
        let at = self.at(start);
        if self.ranges.get(at).is_some_and(|next| next.start < end) {
            return;
        }
        self.ranges.insert(at, Range { start, count, sum });
        self.join(at);
        if let Some(before) = at.checked_sub(1) {
            self.join(before);
        }
        if self.ranges.len() > RANGES_MAX {
            self.shrink();
        }
    }

    /// Joins a range with the next one, if they touch and are not too long together.
    fn join(&mut self, at: usize) {
        if let [one, next, ..] = self.ranges[at..]
            && one.end() == next.start
            && one.count + next.count <= self.length_max
        {
            self.ranges[at] =
                Range { start: one.start, count: one.count + next.count, sum: one.sum.wrapping_add(next.sum) };
            self.ranges.remove(at + 1);
        }
    }

    /// Makes room: joins neighbours to longer ranges while that halves them, then forgets the shortest.
    fn shrink(&mut self) {
        let touching = self.ranges.windows(2).filter(|pair| pair[0].end() == pair[1].start).count();
        if touching > RANGES_MAX / 4 {
            self.length_max = self.length_max.saturating_mul(2);
            let mut joined: Vec<Range> = Vec::with_capacity(self.ranges.len());
            for range in self.ranges.drain(..) {
                match joined.last_mut() {
                    Some(last) if last.end() == range.start && last.count + range.count <= self.length_max => {
                        last.count += range.count;
                        last.sum = last.sum.wrapping_add(range.sum);
                    }
                    _ => joined.push(range),
                }
            }
            self.ranges = joined;
        }
        while self.ranges.len() > RANGES_MAX {
            let shortest = self.ranges.iter().map(|range| range.count).min().unwrap_or_default();
            // A quarter at once, from the end: what is far ahead is asked for last.
            let mut left = self.ranges.len() - RANGES_MAX * 3 / 4;
            let mut index = self.ranges.len();
            while index > 0 && left > 0 {
                index -= 1;
                if self.ranges[index].count == shortest {
                    self.ranges.remove(index);
                    left -= 1;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prng::Prng;

    fn check(ranges: &Ranges) {
        assert!(ranges.ranges.len() <= RANGES_MAX && ranges.ranges.iter().all(|range| range.count > 0));
        assert!(ranges.ranges.windows(2).all(|pair| pair[0].end() <= pair[1].start));
    }

    #[test]
    fn whatever_the_order_each_line_is_in_one_range() {
        for seed in 0..200 {
            let mut prng = Prng::new(seed);
            let length = 1 + prng.below(5000);
            let mut order: Vec<u64> = (0..length).collect();
            (1..order.len()).rev().for_each(|last| order.swap(last, prng.below(last as u64 + 1) as usize));
            let mut ranges = Ranges::default();
            let mut known = vec![false; length as usize];
            for position in order {
                assert!(!ranges.contains(position));
                ranges.insert(position, 1, position * 7);
                ranges.insert(position, 1, 1); // a second time is none
                known[position as usize] = true;
                check(&ranges);
            }
            let sum = ranges.iter().fold(0_u64, |sum, (_, _, own)| sum.wrapping_add(own));
            let count: u64 = ranges.iter().map(|(_, count, _)| count).sum();
            // In an order by chance there are more holes than may be kept: then some is forgotten, never invented.
            assert!(count <= length && (count < length || sum == (0..length).map(|position| position * 7).sum()));
        }
    }

    #[test]
    fn a_list_of_any_length_takes_few_ranges() {
        let mut ranges = Ranges::default();
        let length = 20_000_000;
        (0..length).step_by(1000).for_each(|start| ranges.insert(start, 1000, 1));
        check(&ranges);
        assert!(ranges.contains(0) && ranges.contains(length - 1) && ranges.length_max >= 16 << 10);
        assert_eq!(ranges.iter().map(|(_, count, _)| count).sum::<u64>(), length);
    }

    #[test]
    fn what_overlaps_or_overflows_is_passed_over() {
        let mut ranges = Ranges::default();
        ranges.insert(10, 10, 1);
        for (start, count) in [(5, 6), (19, 5), (0, 100), (12, 2), (u64::MAX, 2), (30, 0)] {
            ranges.insert(start, count, 9);
        }
        assert_eq!(ranges.iter().collect::<Vec<_>>(), [(10, 10, 1)]);
    }
}
