//! Who owns the ledger, as operators have granted it.

pub struct Office {
    owner: usize,
}

impl Office {
    /// The first member owns it from the beginning.
    pub fn new() -> Self {
        Self { owner: 0 }
    }

    pub fn owner(&self) -> usize {
        self.owner
    }
}
