//! Lengths and perplexities of a response, by span.

use std::ops::Range;

use still_domain::{FinishReason, Measures};
use still_text::{Prompter, TokenizerError};

/// A response as text, with what is known of it.
#[derive(Debug, Clone, PartialEq)]
pub struct MeasuredResponse {
    /// The text of the tokens.
    pub text: String,
    /// Lengths and perplexities.
    pub measures: Measures,
    /// Whether the thought and solution format is kept.
    pub is_well_formed: bool,
}

/// Measures a response with its stop token, if it has one, by what is known of its tokens; where that is nothing its
/// perplexities are unknown, and the whole response's is no number.
///
/// # Errors
/// When the tokens cannot be decoded.
pub fn measured(
    prompter: &Prompter,
    tokens: &[u32],
    finish: FinishReason,
    log_probabilities: Option<&[f32]>,
) -> Result<MeasuredResponse, TokenizerError> {
    // the stop token is no part of the text
    let shown = match (finish, tokens.split_last()) {
        (FinishReason::Stop, Some((_, before))) => before,
        _ => tokens,
    };
    let mut response = measure(prompter, shown, log_probabilities.unwrap_or_default())?;
    if log_probabilities.is_none() {
        response.measures.perplexity = f32::NAN;
    }
    Ok(response)
}

/// Measures a response: its tokens, the stop token left out, and their log-probabilities (nats, under the
/// unmodified distribution; one for the stop token may follow and counts towards the whole).
///
/// Spans are found in the text and mapped back to tokens, so tags may be one token or many.
///
/// # Errors
/// When the tokens cannot be decoded.
fn measure(
    prompter: &Prompter,
    tokens: &[u32],
    log_probabilities: &[f32],
) -> Result<MeasuredResponse, TokenizerError> {
    let whole = Measures { perplexity: perplexity(log_probabilities).unwrap_or(1.0), ..Measures::default() };
    let decoded = prompter.tokenizer().decode_with_ends(tokens)?;
    let Ok(parts) = prompter.format().parse(&decoded.text) else {
        return Ok(MeasuredResponse { text: decoded.text, measures: whole, is_well_formed: false });
    };
    let log_probabilities_of = |span: Range<usize>| log_probabilities.get(span).unwrap_or_default();
    let thought = decoded.tokens_of(parts.thought_span.clone());
    let solution = decoded.tokens_of(parts.solution_span.clone());
    let measures = Measures {
        thought_tokens: thought.len() as u32,
        solution_tokens: solution.len() as u32,
        thought_perplexity: perplexity(log_probabilities_of(thought)),
        solution_perplexity: perplexity(log_probabilities_of(solution)),
        ..whole
    };
    Ok(MeasuredResponse { text: decoded.text, measures, is_well_formed: true })
}

/// `exp` of the mean negative log-probability; `None` of nothing.
fn perplexity(log_probabilities: &[f32]) -> Option<f32> {
    if log_probabilities.is_empty() {
        return None;
    }
    let sum: f64 = log_probabilities.iter().map(|value| f64::from(*value)).sum();
    Some((-sum / log_probabilities.len() as f64).exp() as f32)
}

#[cfg(test)]
mod tests {
    use still_text::{Format, PromptBook, PromptStyle, Tokenizer, thought};

    use super::*;

    const RESPONSE: &str =
        "<|begin_of_thought|>7*7+0=49;<|end_of_thought|><|begin_of_solution|>\\boxed{49}<|end_of_solution|>";

    #[test]
    fn spans_leave_the_tags_out() {
        let tokenizer = Tokenizer::quick_start().unwrap();
        let prompter = Prompter::new(tokenizer.clone(), PromptStyle::Raw);
        let tokens = tokenizer.encode(RESPONSE, false).unwrap();
        // certain about the thought, torn between two about the rest
        let end_of_thought = tokenizer.token_to_id(thought::END_OF_THOUGHT).unwrap();
        let border = tokens.iter().position(|id| *id == end_of_thought).unwrap();
        let log_probabilities: Vec<f32> =
            (0..tokens.len()).map(|index| if index < border { 0.0 } else { 0.5_f32.ln() }).collect();
        let response = measure(&prompter, &tokens, &log_probabilities).unwrap();
        let measures = response.measures;
        assert!(response.is_well_formed);
        assert_eq!(response.text, RESPONSE);
        assert_eq!((measures.thought_tokens, measures.solution_tokens), (9, 4));
        assert!((measures.thought_perplexity.unwrap() - 1.0).abs() < 1e-6);
        assert!((measures.solution_perplexity.unwrap() - 2.0).abs() < 1e-6);
        assert!(measures.perplexity > 1.0 && measures.perplexity < 2.0);
    }

    #[test]
    fn a_broken_format_has_a_perplexity_but_no_spans() {
        let tokenizer = Tokenizer::quick_start().unwrap();
        let prompter = Prompter::new(tokenizer.clone(), PromptStyle::Raw);
        let tokens = tokenizer.encode("49;49", false).unwrap();
        let response = measure(&prompter, &tokens, &[0.25_f32.ln(); 5]).unwrap();
        assert!(!response.is_well_formed);
        assert!((response.measures.perplexity - 4.0).abs() < 1e-4);
        assert_eq!(response.measures.thought_perplexity, None);
    }

    #[test]
    fn without_a_format_all_of_a_response_is_its_solution() {
        let tokenizer = Tokenizer::quick_start().unwrap();
        let tokens = tokenizer.encode("49;49", false).unwrap();
        let book = PromptBook { style: PromptStyle::Raw, format: Format::Plain, ..PromptBook::default() };
        let response = measure(&Prompter::new(tokenizer, book), &tokens, &[0.25_f32.ln(); 5]).unwrap();
        let measures = response.measures;
        assert!(response.is_well_formed);
        assert_eq!((measures.thought_tokens, measures.solution_tokens), (0, 5));
        assert_eq!(measures.thought_perplexity, None);
        assert!((measures.solution_perplexity.unwrap() - 4.0).abs() < 1e-4);
    }
}
