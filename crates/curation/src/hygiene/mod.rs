//! Whether a response may be trained on at all.
//!
//! STILL-2 drops short examples and removes repetition, gibberish and mixed languages by rule. A rejected
//! rollout stays in the pool with its reason; the reason is a value, so that it can be counted.

mod repetition;
mod scripts;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use still_domain::{FinishReason, Rejection};

use self::{repetition::Repetition, scripts::Scripts};
use crate::SettingError;

/// What a response must look like.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HygieneConfig {
    /// Whether the thought and solution tags must be in order. Default: true.
    pub require_format: bool,
    /// Shortest thought, in tokens. Default: 8.
    pub min_thought_tokens: u32,
    /// Longest response, in tokens. Default: 20000.
    pub max_response_tokens: u32,
    /// Length of the n-grams that repetition is counted in, in words. Default: 10.
    pub ngram_words: usize,
    /// Largest share of n-grams that occurred before in the same response. Default: 0.4.
    pub max_repeated_ngrams: f64,
    /// Largest number of characters that the response may spend at its end on saying the same thing over
    /// and over (at least four times). Default: 300.
    pub max_loop_characters: usize,
    /// Largest share of letters in scripts that neither mathematics nor the problem uses. Default: 0.05.
    pub max_foreign_letters: f64,
    /// Largest share of broken characters: replacement, control and private-use ones. Default: 0.002.
    pub max_broken_characters: f64,
}

impl Default for HygieneConfig {
    fn default() -> Self {
        Self {
            require_format: true,
            min_thought_tokens: 8,
            max_response_tokens: 20_000,
            ngram_words: 10,
            max_repeated_ngrams: 0.4,
            max_loop_characters: 300,
            max_foreign_letters: 0.05,
            max_broken_characters: 0.002,
        }
    }
}

/// A response and what its generator knows of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Response<'text> {
    /// The problem's statement: its scripts are not foreign.
    pub problem: &'text str,
    /// The response.
    pub text: &'text str,
    /// Its length in tokens.
    pub response_tokens: u32,
    /// The thought's length in tokens.
    pub thought_tokens: u32,
    /// Whether exactly one of each tag is there, in order, around parts that are not empty.
    pub is_well_formed: bool,
    /// Why generation ended.
    pub finish: FinishReason,
}

/// What was measured, and what hygiene makes of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HygieneReport {
    /// Why the response may not be trained on.
    pub rejection: Option<Rejection>,
    /// Share of n-grams that occurred before.
    pub repeated_ngrams: f64,
    /// Characters spent at the end on repeating.
    pub loop_characters: usize,
    /// Share of letters in foreign scripts.
    pub foreign_letters: f64,
    /// Share of broken characters.
    pub broken_characters: f64,
}

impl HygieneConfig {
    /// # Errors
    /// When a share is none, a length is zero or the lengths leave nothing over.
    pub fn validate(&self) -> Result<(), SettingError> {
        let shares = [
            ("max_repeated_ngrams", self.max_repeated_ngrams),
            ("max_foreign_letters", self.max_foreign_letters),
            ("max_broken_characters", self.max_broken_characters),
        ];
        if let Some((key, _)) = shares.iter().find(|(_, share)| !(0.0..=1.0).contains(share)) {
            return Err(SettingError::new(key, "must lie between 0 and 1"));
        }
        if self.ngram_words == 0 {
            return Err(SettingError::new("ngram_words", "must be at least 1"));
        }
        if self.max_response_tokens <= self.min_thought_tokens {
            return Err(SettingError::new("max_response_tokens", "must be larger than `min_thought_tokens`"));
        }
        Ok(())
    }

    /// Measures a response and names the first rule that it breaks, in the order of [`Rejection`]; a
    /// response that was cut off is truncated before it is anything else.
    pub fn inspect(&self, response: &Response<'_>) -> HygieneReport {
        let repetition = Repetition::measure(response.text, self.ngram_words.max(1));
        let scripts = Scripts::measure(response.problem, response.text);
        let is_cut_off = matches!(response.finish, FinishReason::Length | FinishReason::Cancelled);
        let rules = [
            (is_cut_off, Rejection::Truncated),
            (self.require_format && !response.is_well_formed, Rejection::BrokenFormat),
            (response.thought_tokens < self.min_thought_tokens, Rejection::TooShort),
            (response.response_tokens > self.max_response_tokens, Rejection::TooLong),
            (
                repetition.repeated_ngrams > self.max_repeated_ngrams
                    || repetition.loop_characters > self.max_loop_characters,
                Rejection::Repetitive,
            ),
            (
                scripts.foreign_letters > self.max_foreign_letters
                    || scripts.broken_characters > self.max_broken_characters,
                Rejection::Gibberish,
            ),
        ];
        HygieneReport {
            rejection: rules.into_iter().find_map(|(is_broken, rejection)| is_broken.then_some(rejection)),
            repeated_ngrams: repetition.repeated_ngrams,
            loop_characters: repetition.loop_characters,
            foreign_letters: scripts.foreign_letters,
            broken_characters: scripts.broken_characters,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PRODUCT: &str = "<|begin_of_thought|>3*3+0=9;3*3+0=9;3*3+0=9;3*3+0=9;<|end_of_thought|>\
        <|begin_of_solution|>\\boxed{9999}<|end_of_solution|>";

    fn response(text: &str) -> Response<'_> {
        Response {
            problem: "Compute 3*3333.",
            text,
            response_tokens: 60,
            thought_tokens: 32,
            is_well_formed: true,
            finish: FinishReason::Stop,
        }
    }

    fn rejection(response: &Response<'_>) -> Option<Rejection> {
        HygieneConfig::default().inspect(response).rejection
    }

    #[test]
    fn honest_arithmetic_that_repeats_a_step_passes() {
        assert_eq!(rejection(&response(PRODUCT)), None);
    }

    #[test]
    fn each_rule_has_its_reason() {
        let good = response(PRODUCT);
        let cases = [
            (Response { finish: FinishReason::Length, is_well_formed: false, ..good }, Rejection::Truncated),
            (Response { is_well_formed: false, ..good }, Rejection::BrokenFormat),
            (Response { thought_tokens: 7, ..good }, Rejection::TooShort),
            (Response { response_tokens: 20_001, ..good }, Rejection::TooLong),
        ];
        for (response, expected) in cases {
            assert_eq!(rejection(&response), Some(expected));
        }
        let looping = "Let me check this again. ".repeat(30);
        assert_eq!(rejection(&response(&looping)), Some(Rejection::Repetitive));
        let mixed = "We add the numbers, 然后我们把它们相乘 and find the result 结果是九 at once.";
        assert_eq!(rejection(&response(mixed)), Some(Rejection::Gibberish));
        assert_eq!(
            rejection(&response("so \u{fffd}\u{fffd} it is \u{e000} nine")),
            Some(Rejection::Gibberish)
        );
    }

    #[test]
    fn the_ablation_without_thoughts_can_be_allowed() {
        let config = HygieneConfig { require_format: false, min_thought_tokens: 0, ..Default::default() };
        let direct = Response { is_well_formed: false, thought_tokens: 0, ..response("\\boxed{9999}") };
        assert_eq!(config.inspect(&direct).rejection, None);
    }

    #[test]
    fn a_problem_in_another_language_may_be_thought_about_in_it() {
        let chinese = Response {
            problem: "求三与三千三百三十三的乘积。",
            ..response("我们先算 $3 \\times 3 = 9$，然后得到结果。")
        };
        assert_eq!(rejection(&chinese), None);
    }

    #[test]
    fn settings_that_make_no_sense_are_refused() {
        assert!(HygieneConfig::default().validate().is_ok());
        assert!(HygieneConfig { max_foreign_letters: 1.5, ..Default::default() }.validate().is_err());
        assert!(HygieneConfig { ngram_words: 0, ..Default::default() }.validate().is_err());
        assert!(HygieneConfig { max_response_tokens: 8, ..Default::default() }.validate().is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_measured_within_bounds(text in ".{0,400}", problem in ".{0,40}") {
            let report = HygieneConfig::default().inspect(&Response { problem: &problem, ..response(&text) });
            for share in [report.repeated_ngrams, report.foreign_letters, report.broken_characters] {
                prop_assert!((0.0..=1.0).contains(&share));
            }
            prop_assert!(report.loop_characters <= text.chars().count());
        }
    }
}
