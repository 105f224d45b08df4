//! Whether a response may be trained on at all.
//!
//! STILL-2 drops short examples and removes repetition, gibberish and mixed languages by rule. A rejected
//! rollout stays in the pool with its reason; the reason is a value, so that it can be counted.
//!
//! Thought and solution are measured each for itself, and what is worse counts: a solution may say again what the
//! thought said, and a loop inside a well-formed thought ends long before the last tag.

mod language;
mod parts;
mod repetition;
mod scripts;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use still_domain::{FinishReason, Rejection};
use still_settings::Findings;

use self::{
    language::{Passages, foreign_passages},
    parts::{different_boxes, parts},
    repetition::Repetition,
    scripts::Scripts,
};

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
    /// Largest share of n-grams that occurred before in the same 512 words of the thought or of the solution.
    /// Default: 0.4.
    pub max_repeated_ngrams: f64,
    /// Largest number of characters that thought or solution may spend, wherever that is, on saying the same thing
    /// over and over (at least four times in a row). A passage without a letter (a row of a table, zeros) may go on
    /// four times as long. Default: 300.
    pub max_loop_characters: usize,
    /// Largest share of letters in scripts that neither mathematics nor the problem uses. Default: 0.05.
    pub max_foreign_letters: f64,
    /// Largest share of words in such scripts; characters of a script that does not space its words are counted
    /// as parts of words. Default: 0.05.
    pub max_foreign_words: f64,
    /// Largest share of passages (sentences, gathered up to 160 letters) in a Latin-script language that is neither
    /// English nor the problem's. Default: 0.15.
    pub max_foreign_passages: f64,
    /// Most different answers in boxes of the solution; 0 allows any number. Default: 1.
    pub max_different_answers: usize,
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
            max_foreign_words: 0.05,
            max_foreign_passages: 0.15,
            max_different_answers: 1,
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
    /// Largest share, over windows of thought and solution, of n-grams that occurred before.
    pub repeated_ngrams: f64,
    /// Characters of the longest loop.
    pub loop_characters: usize,
    /// Share of letters in foreign scripts.
    pub foreign_letters: f64,
    /// Share of words in foreign scripts.
    pub foreign_words: f64,
    /// Share of passages in foreign languages.
    pub foreign_passages: f64,
    /// Different answers in boxes of the solution.
    pub different_answers: usize,
    /// Share of broken characters.
    pub broken_characters: f64,
}

impl HygieneConfig {
    /// Notes what no response could be held to: a share that is none, a length of zero, lengths that leave nothing over.
    pub fn validate(&self, findings: &mut Findings) {
        for (key, share) in [
            ("max_repeated_ngrams", self.max_repeated_ngrams),
            ("max_foreign_letters", self.max_foreign_letters),
            ("max_foreign_words", self.max_foreign_words),
            ("max_foreign_passages", self.max_foreign_passages),
            ("max_broken_characters", self.max_broken_characters),
        ] {
            let is_share = (0.0..=1.0).contains(&share);
            findings.require(is_share, &format!("hygiene.{key}"), || "must lie between 0 and 1".to_owned());
        }
        findings.require(self.ngram_words > 0, "hygiene.ngram_words", || "must be at least 1".to_owned());
        let leaves_room = self.max_response_tokens > self.min_thought_tokens;
        findings.require(leaves_room, "hygiene.max_response_tokens", || {
            "must be larger than `min_thought_tokens`".to_owned()
        });
    }

    /// The first rule that a response breaks, in the order of [`Rejection`]; a response that was cut off is truncated
    /// before it is anything else. Its text is read only where no other rule decides: the longest are cut off.
    pub fn rejection(&self, response: &Response<'_>) -> Option<Rejection> {
        self.broken_unread(response).or_else(|| self.inspect(response).rejection)
    }

    /// Measures a response and names its [`rejection`](Self::rejection).
    pub fn inspect(&self, response: &Response<'_>) -> HygieneReport {
        let parts = parts(response.text);
        let measured = |part: &&str| {
            (Repetition::measure(part, self.ngram_words.max(1)), Scripts::measure(response.problem, part))
        };
        let (repetition, scripts) = parts.iter().map(measured).fold(
            (Repetition::default(), Scripts::default()),
            |(repetition, scripts), (of_part, its_scripts)| (repetition.or(of_part), scripts.or(its_scripts)),
        );
        let passages: Vec<Passages> = parts.iter().map(|part| Passages::read(part)).collect();
        let foreign_passages = foreign_passages(response.problem, &passages);
        let different_answers = parts.last().map_or(0, |solution| different_boxes(solution));
        let mut report = HygieneReport {
            rejection: None,
            repeated_ngrams: repetition.repeated_ngrams,
            loop_characters: repetition.loop_characters,
            foreign_letters: scripts.foreign_letters,
            foreign_words: scripts.foreign_words,
            foreign_passages,
            different_answers,
            broken_characters: scripts.broken_characters,
        };
        report.rejection = self.broken_unread(response).or_else(|| {
            first_broken([
                (self.is_repetitive(&report), Rejection::Repetitive),
                (self.is_gibberish(&report), Rejection::Gibberish),
                (self.has_several_answers(&report), Rejection::SeveralAnswers),
            ])
        });
        report
    }

    /// The first rule that is broken whatever the text says.
    fn broken_unread(&self, response: &Response<'_>) -> Option<Rejection> {
        // a format without a thought apart: the response reasons as a whole
        let is_all_solution = response.is_well_formed && response.thought_tokens == 0;
        let reasoning_tokens =
            if is_all_solution { response.response_tokens } else { response.thought_tokens };
        let is_cut_off = matches!(
            response.finish,
            FinishReason::Length | FinishReason::Cancelled | FinishReason::Repetition
        );
        first_broken([
            (is_cut_off, Rejection::Truncated),
            (self.require_format && !response.is_well_formed, Rejection::BrokenFormat),
            (reasoning_tokens < self.min_thought_tokens, Rejection::TooShort),
            (response.response_tokens > self.max_response_tokens, Rejection::TooLong),
        ])
    }

    /// Whether what was measured says the same over and over.
    pub fn is_repetitive(&self, report: &HygieneReport) -> bool {
        report.repeated_ngrams > self.max_repeated_ngrams || report.loop_characters > self.max_loop_characters
    }

    /// Whether what was measured mixes scripts or languages, or holds broken characters.
    pub fn is_gibberish(&self, report: &HygieneReport) -> bool {
        report.foreign_letters > self.max_foreign_letters
            || report.foreign_words > self.max_foreign_words
            || report.foreign_passages > self.max_foreign_passages
            || report.broken_characters > self.max_broken_characters
    }

    /// Whether what was measured gives more different answers than are allowed.
    pub const fn has_several_answers(&self, report: &HygieneReport) -> bool {
        self.max_different_answers > 0 && report.different_answers > self.max_different_answers
    }
}

fn first_broken<const RULES: usize>(rules: [(bool, Rejection); RULES]) -> Option<Rejection> {
    rules.into_iter().find_map(|(is_broken, rejection)| is_broken.then_some(rejection))
}

#[cfg(test)]
mod tests;
