//! Values from a seed: the same ones on every machine, for ever. Nothing here may change without every vector changing.

/// A type that says what its values are.
pub trait Seeded {
    fn seeded(random: &mut Random) -> Self;
}

/// splitmix64 (Steele, Lea, Flood 2014): small, and written down once and for all.
pub struct Random(u64);

impl Random {
    /// Starts from the name of a kind, so that adding a kind leaves the values of the others alone.
    pub fn for_kind(name: &str) -> Self {
        // FNV-1a, 64 bits.
        Self(
            name.bytes()
                .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)),
        )
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Less than `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// Of every magnitude, so that varints of every length occur; the extremes often.
    pub fn number(&mut self) -> u64 {
        match self.below(16) {
            0 => 0,
            1 => u64::MAX,
            _ => {
                let shift = self.below(64);
                self.next() >> shift
            }
        }
    }

    /// [`Self::number`] of 32 bits.
    pub fn number32(&mut self) -> u32 {
        match self.below(16) {
            0 => 0,
            1 => u32::MAX,
            _ => {
                let shift = 32 + self.below(32);
                (self.next() >> shift) as u32
            }
        }
    }

    /// 0 to `max` bytes.
    pub fn bytes(&mut self, max: u64) -> Vec<u8> {
        let len = self.below(max + 1);
        (0..len).map(|_| self.next() as u8).collect()
    }

    /// 32 bytes.
    pub fn digest(&mut self) -> [u8; 32] {
        std::array::from_fn(|_| self.next() as u8)
    }

    /// 1 to 12 characters of 1 to 4 bytes each.
    pub fn name(&mut self) -> String {
        let len = 1 + self.below(12);
        (0..len).map(|_| self.pick(&['a', 'm', 'z', '0', '-', '.', 'ä', '→', '𝄞'])).collect()
    }

    pub fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize].clone()
    }

    pub fn option<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        (self.below(2) == 1).then(|| make(self))
    }

    /// 0 to `max` items.
    pub fn list<T>(&mut self, max: u64, mut make: impl FnMut(&mut Self) -> T) -> Vec<T> {
        let len = self.below(max + 1);
        (0..len).map(|_| make(self)).collect()
    }

    /// A list that ascends strictly by a key.
    pub fn ascending<T, K: Ord>(
        &mut self,
        max: u64,
        make: impl FnMut(&mut Self) -> T,
        key: impl Fn(&T) -> K,
    ) -> Vec<T> {
        let mut list = self.list(max, make);
        list.sort_by_key(&key);
        list.dedup_by_key(|item| key(item));
        list
    }
}
