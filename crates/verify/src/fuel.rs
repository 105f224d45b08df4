//! Deterministic fuel: every judgement has the same allowance on every machine, and no clock is read.

/// Fuel of one judgement; a unit is a fifth to half of a microsecond of arithmetic.
const JUDGEMENT_FUEL: u64 = 20_000;

/// The comparison used up its allowance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OutOfFuel;

/// What is left of a judgement's allowance.
#[derive(Debug)]
pub(crate) struct Fuel {
    left: u64,
}

impl Fuel {
    pub(crate) fn new() -> Self {
        Self { left: JUDGEMENT_FUEL }
    }

    /// Pays for a step, or says that it cannot be afforded.
    pub(crate) fn spend(&mut self, units: u64) -> Result<(), OutOfFuel> {
        let left = self.left.checked_sub(units);
        self.left = left.unwrap_or(0);
        left.map(|_| ()).ok_or(OutOfFuel)
    }

    /// Pays for an exact operation on numbers of so many bits.
    pub(crate) fn spend_bits(&mut self, bits: usize) -> Result<(), OutOfFuel> {
        let words = (bits / 64) as u64;
        // schoolbook below a few dozen words, Karatsuba and Toom-Cook above; gcds cost more than products
        self.spend(1 + words / 8 + words * words / 2_000)
    }
}
