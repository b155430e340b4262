//! Chance, given as a seed.

/// SplitMix64 (Steele, Lea, Flood 2014): enough for jitter, and replayable from its seed.
///
/// ```
/// use narrows_core::Prng;
///
/// assert_eq!(Prng::new(7).next_u64(), Prng::new(7).next_u64());
/// assert!(Prng::new(7).below(10) < 10);
/// ```
#[derive(Clone, Debug)]
pub struct Prng(u64);

impl Prng {
    /// The generator with this seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, or 0 if there is none.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next_u64()) * u128::from(bound)) >> 64) as u64
    }
}
