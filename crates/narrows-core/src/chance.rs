//! Refusals that come by chance, and say nothing of a bound: a server of many behind one name that is broken, a
//! gateway that fails at times. To ask less often does not make them rarer, which is how they are known: a bound
//! refuses many while it is far exceeded, and few near it; chance refuses the same few at any rate.
//!
//! Decisions only.

/// Answers that are looked at together.
const ANSWERS: u32 = u32::BITS;
/// One of so many are few.
const FEW: u32 = 8;
/// More than so many of them are a bound, whatever was taken for chance.
const MANY: u32 = 12;
/// A rate that is so many times less, and refused as often, was no bound's.
const TIMES_LESS: f64 = 4.0;

/// The latest answers of a host.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Chance {
    /// A bit for each, the latest lowest; set where it was a refusal.
    latest: u32,
    seen: u32,
    /// The highest rate at which some were refused, and how many of [`ANSWERS`] at most since then.
    reference: Option<(f64, u32)>,
    /// Refusals are taken for chance.
    is_chance: bool,
}

impl Chance {
    pub(crate) fn answered(&mut self, refused: bool) {
        self.latest = self.latest << 1 | u32::from(refused);
        self.seen = (self.seen + 1).min(ANSWERS);
        // A bound with a burst refuses one at first, and all the others of the volley behind it.
        let share = self.share();
        if let Some((_, largest)) = &mut self.reference
            && !self.is_chance
        {
            *largest = share.max(*largest);
        }
    }

    /// Refusals of [`ANSWERS`], as far as they have been seen.
    fn share(&self) -> u32 {
        self.latest.count_ones() * ANSWERS / self.seen.max(1)
    }

    /// Whether a refusal, which has been noted, says nothing of a bound. `rate` is what was asked for and borne;
    /// `knows_bound` is whether one has been found.
    pub(crate) fn explains(&mut self, rate: f64, knows_bound: bool) -> bool {
        let refused = self.latest.count_ones();
        if self.is_chance {
            self.is_chance = refused <= MANY;
            return self.is_chance;
        }
        let share = self.share();
        let (first, share_then) = *self.reference.get_or_insert((rate, share));
        if rate > first {
            self.reference = Some((rate, share));
        }
        self.is_chance = knows_bound && rate * TIMES_LESS <= first && share <= MANY && share * 2 >= share_then;
        self.is_chance || (!knows_bound && refused * FEW <= self.seen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(chance: &mut Chance, good: u32) {
        (0..good).for_each(|_| chance.answered(false));
        chance.answered(true);
    }

    #[test]
    fn few_are_chance_until_they_are_many() {
        let mut chance = Chance::default();
        answer(&mut chance, 3);
        assert!(!chance.explains(100.0, false), "too little is known");
        answer(&mut chance, 40);
        assert!(chance.explains(100.0, false));
        (0..6).for_each(|_| answer(&mut chance, 2));
        assert!(!chance.explains(100.0, false), "every third");
    }

    #[test]
    fn a_rate_that_helps_nothing_was_no_bound() {
        let mut chance = Chance::default();
        answer(&mut chance, 40);
        assert!(chance.explains(100.0, false));
        answer(&mut chance, 20);
        assert!(!chance.explains(50.0, true), "half as often");
        answer(&mut chance, 20);
        assert!(chance.explains(25.0, true), "a quarter as often, and refused all the same");
        (0..13).for_each(|_| answer(&mut chance, 1));
        assert!(!chance.explains(100.0, true), "every second one");
    }

    #[test]
    fn what_is_left_of_a_bound_far_exceeded_is_none() {
        let mut chance = Chance::default();
        answer(&mut chance, 40);
        assert!(chance.explains(1000.0, false));
        (0..30).for_each(|_| answer(&mut chance, 0));
        assert!(!chance.explains(2000.0, false));
        (0..3).for_each(|_| answer(&mut chance, 40));
        assert!(!chance.explains(5.0, true), "near the bound");
    }
}
