//! How near memory is to its limit, with hysteresis: levels rise at once and fall late.

/// How near memory is to its limit.
///
/// ```
/// use narrows_core::guard::Level;
///
/// assert!(Level::Calm < Level::Stop && Level::Stop.name() == "stop");
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub enum Level {
    /// Below 70 %: windows may grow again, one transfer at a time.
    #[default]
    Calm,
    /// From 70 %: they stay as they are.
    Hold,
    /// From 85 %: they shrink, to one transfer at least.
    Shrink,
    /// From 92 %: nothing is begun, but for one transfer now and then.
    Stop,
    /// From 97 %: the youngest transfers go back to the queue.
    Evict,
}

impl Level {
    /// A stable word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Calm => "calm",
            Self::Hold => "hold",
            Self::Shrink => "shrink",
            Self::Stop => "stop",
            Self::Evict => "evict",
        }
    }

    /// The level at this part of the limit, coming from `before`.
    pub(super) fn next(self, part: f64) -> Self {
        let risen = match part {
            _ if part >= 0.97 => Self::Evict,
            _ if part >= 0.92 => Self::Stop,
            _ if part >= 0.85 => Self::Shrink,
            _ if part >= 0.70 => Self::Hold,
            _ => Self::Calm,
        };
        // Back from evicting to stopping at once, for eviction is a step and no state; from there
        // only once there is room.
        match self {
            Self::Evict | Self::Stop if risen < Self::Stop && part >= BACK => Self::Stop,
            Self::Shrink if risen < Self::Shrink && part >= BACK => Self::Hold,
            _ => risen,
        }
    }
}

/// Below this part of the limit all is well again.
const BACK: f64 = 0.80;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_rise_at_once_and_fall_at_eighty() {
        let mut level = Level::Calm;
        let mut at = |percent: u32| {
            level = level.next(f64::from(percent) / 100.0);
            level
        };
        assert_eq!(
            [69, 70, 84, 85, 91].map(&mut at),
            [Level::Calm, Level::Hold, Level::Hold, Level::Shrink, Level::Shrink]
        );
        assert_eq!([84, 81, 79, 69].map(&mut at), [Level::Hold, Level::Hold, Level::Hold, Level::Calm]);
        assert_eq!([98, 96, 90, 81].map(&mut at), [Level::Evict, Level::Stop, Level::Stop, Level::Stop]);
        assert_eq!([79, 92, 60].map(&mut at), [Level::Hold, Level::Stop, Level::Calm]);
    }
}
