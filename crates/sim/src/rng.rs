//! The only source of chance: a seeded generator.

use std::{convert::Infallible, time::Duration};

use rand::{Rng as _, RngExt as _, SeedableRng as _, TryRng, rngs::SmallRng};

/// A generator that gives the same numbers for the same seed. All of `rand` works on it.
#[derive(Clone, Debug)]
pub struct SimRng(SmallRng);

impl SimRng {
    /// The generator of this seed.
    pub fn new(seed: u64) -> Self {
        Self(SmallRng::seed_from_u64(seed))
    }

    /// Another one, whose numbers do not depend on how many are drawn from this one afterwards.
    #[must_use]
    pub fn fork(&mut self) -> Self {
        Self::new(self.0.next_u64())
    }

    /// True so many times in a thousand.
    pub fn chance(&mut self, permille: u32) -> bool {
        permille > 0 && self.0.random_range(0..1_000) < permille
    }

    /// A number below `n`; zero if that is zero.
    pub fn below(&mut self, n: usize) -> usize {
        if n == 0 { 0 } else { self.0.random_range(0..n) }
    }

    /// From so many milliseconds to so many, in steps of a microsecond.
    pub fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_micros(self.0.random_range(from * 1_000..=to.max(from) * 1_000))
    }

    /// From nothing to `most`.
    pub fn up_to(&mut self, most: Duration) -> Duration {
        let micros = u64::try_from(most.as_micros()).unwrap_or(u64::MAX);
        Duration::from_micros(self.0.random_range(0..=micros))
    }

    pub(crate) fn bytes(&mut self) -> [u8; 16] {
        let mut bytes = [0; 16];
        self.0.fill_bytes(&mut bytes);
        bytes
    }
}

impl TryRng for SimRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.0.next_u32())
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.0.next_u64())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.0.fill_bytes(bytes);
        Ok(())
    }
}
