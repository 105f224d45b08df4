//! One product: its statement, its answer and the thought that works it out.

use rand::Rng;

/// One digit times a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Product {
    /// The single digit, 2 to 9.
    pub digit: u64,
    /// The number it multiplies.
    pub number: u64,
}

impl Product {
    /// Draws a product whose number has `level` digits (1 to 18).
    pub fn draw(level: u8, random: &mut impl Rng) -> Self {
        let smallest = 10_u64.pow(u32::from(level) - 1);
        Self { digit: random.random_range(2..10), number: random.random_range(smallest..smallest * 10) }
    }

    /// How many different products a level has.
    pub const fn count(level: u8) -> u64 {
        8 * 9 * 10_u64.pow(level as u32 - 1)
    }

    /// The problem as the model reads it.
    pub fn statement(self) -> String {
        format!("{}*{}=?", self.digit, self.number)
    }

    /// The gold answer.
    pub const fn answer(self) -> u64 {
        self.digit * self.number
    }

    /// The thought: one step a digit, from the last one, each `digit*d+carry=two digits;`.
    ///
    /// Before a step a slip is written with probability `slip_probability`: a wrong value, then `Wait,`.
    pub fn thought(self, slip_probability: f64, random: &mut impl Rng) -> String {
        let mut thought = String::new();
        let mut carry = 0;
        for d in digits_from_last(self.number) {
            let step = format!("{}*{}+{}=", self.digit, d, carry);
            let value = self.digit * d + carry;
            let slips = slip_probability > 0.0 && random.random_bool(slip_probability);
            if let Some(wrong) = slips.then(|| slip(value, self.digit, random)).flatten() {
                thought += &format!("{step}{wrong:02};Wait,");
            }
            thought += &format!("{step}{value:02};");
            carry = value / 10;
        }
        thought
    }

    /// The solution part's text.
    pub fn solution(self) -> String {
        format!("\\boxed{{{}}}", self.answer())
    }
}

/// A plausible wrong value for a step, within two digits; `None` when the draw leaves them.
fn slip(value: u64, digit: u64, random: &mut impl Rng) -> Option<u64> {
    let digit = digit.cast_signed();
    let offsets = [-digit, digit, -1, 1, -10, 10];
    let offset = offsets[random.random_range(0..offsets.len())];
    value.checked_add_signed(offset).filter(|wrong| *wrong <= 89)
}

fn digits_from_last(number: u64) -> impl Iterator<Item = u64> {
    let mut rest = Some(number);
    std::iter::from_fn(move || {
        let current = rest?;
        rest = (current >= 10).then_some(current / 10);
        Some(current % 10)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn the_thought_is_the_one_in_the_documentation() {
        let product = Product { digit: 7, number: 4827 };
        let mut random = ChaCha8Rng::seed_from_u64(0);
        assert_eq!(product.thought(0.0, &mut random), "7*7+0=49;7*2+4=18;7*8+1=57;7*4+5=33;");
        assert_eq!(product.solution(), "\\boxed{33789}");
    }

    proptest! {
        #[test]
        fn every_thought_ends_in_the_leading_digits_of_the_answer(level in 1_u8..9, seed: u64) {
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            let product = Product::draw(level, &mut random);
            let thought = product.thought(0.3, &mut random);
            let last = thought.trim_end_matches(';').rsplit('=').next().unwrap();
            let leading: u64 = last.parse().unwrap();
            prop_assert_eq!(product.answer() / 10_u64.pow(u32::from(level) - 1), leading);
            prop_assert_eq!(thought.matches(';').count(), usize::from(level) + thought.matches("Wait,").count());
        }
    }
}
