//! Log-probabilities of given tokens under the output head, forward and backward, in blocks of tokens.
//!
//! The logits of a block are formed, used and dropped: `[tokens, vocabulary]` never exists as a whole when it is large.

use std::ops::Range;

use crate::Threads;
use crate::lanes::{exponentiate, maximum, sum, vectorised};
use crate::product::{Target, View};

/// Logits of a block of tokens,
const BLOCK_LOGITS: usize = 8 << 20;
/// or so many tokens: for each block the whole head is read.
const MIN_BLOCK_TOKENS: usize = 256;

/// Most logits that are held at once, for a head of so many rows.
pub const fn most_logits(vocabulary: usize) -> usize {
    if MIN_BLOCK_TOKENS * vocabulary > BLOCK_LOGITS { MIN_BLOCK_TOKENS * vocabulary } else { BLOCK_LOGITS }
}

/// Log-probabilities of the targets, with what the backward pass wants.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenLogProbabilities {
    /// `log p(target)` of each row.
    pub values: Vec<f32>,
    /// Logarithm of the sum of exponentials of each row's logits.
    pub log_normalizers: Vec<f32>,
}

/// What [`weighted_log_likelihood`] returns.
#[derive(Debug, Clone, PartialEq)]
pub struct LogLikelihoodGradients {
    /// `log p(target)` of each row.
    pub log_probabilities: Vec<f32>,
    /// `[rows, hidden]`
    pub grad_hidden: Vec<f32>,
    /// `[vocabulary, hidden]`; empty where the head is frozen.
    pub grad_head: Vec<f32>,
}

/// `log softmax(hidden head')[target]` of each row.
///
/// # Shapes
/// `hidden [rows, hidden_size]`, `head [vocabulary, hidden_size]`, `targets [rows]`.
pub fn token_log_probabilities(
    hidden: &[f32],
    head: &[f32],
    hidden_size: usize,
    targets: &[u32],
    threads: &Threads,
) -> TokenLogProbabilities {
    let head = Head::new(head, hidden_size, threads);
    threads.run(|| {
        let mut result = TokenLogProbabilities {
            values: Vec::with_capacity(targets.len()),
            log_normalizers: Vec::with_capacity(targets.len()),
        };
        let mut logits = Vec::new();
        for rows in head.blocks(targets.len()) {
            head.logits(hidden, rows.clone(), &mut logits);
            let normalizers = head.log_normalizers(&mut logits);
            for ((row, target), normalizer) in
                logits.chunks_exact(head.vocabulary).zip(&targets[rows]).zip(normalizers)
            {
                result.values.push(row[*target as usize] - normalizer);
                result.log_normalizers.push(normalizer);
            }
        }
        result
    })
}

/// Gradients of `hidden` and of `head`, given those of the log-probabilities; rows with gradient 0 cost nothing.
/// That of the head is empty where it is not trained, and costs nothing either.
///
/// The logits are formed again, from the normalizers that the forward pass returned.
#[expect(clippy::too_many_arguments, reason = "what the forward pass had, and what it gave")]
pub fn token_log_probabilities_backward(
    hidden: &[f32],
    head: &[f32],
    hidden_size: usize,
    targets: &[u32],
    log_normalizers: &[f32],
    grad: &[f32],
    trains_head: bool,
    threads: &Threads,
) -> (Vec<f32>, Vec<f32>) {
    let head = Head::new(head, hidden_size, threads);
    threads.run(|| {
        let (mut grad_hidden, mut grad_head) = (vec![0.0; hidden.len()], head.gradient(trains_head));
        let mut logits = Vec::new();
        for rows in head.blocks(targets.len()) {
            if grad[rows.clone()].iter().all(|grad| *grad == 0.0) {
                continue;
            }
            head.logits(hidden, rows.clone(), &mut logits);
            head.grad_logits(
                &mut logits,
                &targets[rows.clone()],
                &log_normalizers[rows.clone()],
                &grad[rows.clone()],
            );
            head.add_gradients(hidden, rows, &logits, &mut grad_hidden, &mut grad_head);
        }
        (grad_hidden, grad_head.values)
    })
}

/// The gradients of `sum of weight * log p(target)` in one go: a third fewer products than forward and backward apart,
/// for losses whose weights are known beforehand (a token mean). Without that of the head where it is not trained.
pub fn weighted_log_likelihood(
    hidden: &[f32],
    head: &[f32],
    hidden_size: usize,
    targets: &[u32],
    weights: &[f32],
    trains_head: bool,
    threads: &Threads,
) -> LogLikelihoodGradients {
    let head = Head::new(head, hidden_size, threads);
    threads.run(|| {
        let mut log_probabilities = Vec::with_capacity(targets.len());
        let (mut grad_hidden, mut grad_head) = (vec![0.0; hidden.len()], head.gradient(trains_head));
        let mut logits = Vec::new();
        for rows in head.blocks(targets.len()) {
            let targets = &targets[rows.clone()];
            head.logits(hidden, rows.clone(), &mut logits);
            let normalizers = head.log_normalizers(&mut logits);
            for ((row, target), normalizer) in
                logits.chunks_exact(head.vocabulary).zip(targets).zip(&normalizers)
            {
                log_probabilities.push(row[*target as usize] - normalizer);
            }
            head.grad_logits(&mut logits, targets, &normalizers, &weights[rows.clone()]);
            head.add_gradients(hidden, rows, &logits, &mut grad_hidden, &mut grad_head);
        }
        LogLikelihoodGradients { log_probabilities, grad_hidden, grad_head: grad_head.values }
    })
}

/// The gradient of the head, `[vocabulary, hidden]`: zeros until the first block of rows, which overwrites them. To
/// read fresh zeros before they are written would cost two page faults for one.
struct HeadGradient {
    values: Vec<f32>,
    is_begun: bool,
}

impl HeadGradient {
    fn target(&mut self, row_stride: usize) -> Target<'_> {
        if std::mem::replace(&mut self.is_begun, true) {
            Target::add(&mut self.values, row_stride)
        } else {
            Target::store(&mut self.values, row_stride)
        }
    }
}

/// The output head and how it is worked on.
struct Head<'a> {
    values: &'a [f32],
    hidden_size: usize,
    vocabulary: usize,
    threads: &'a Threads,
}

impl<'a> Head<'a> {
    fn new(values: &'a [f32], hidden_size: usize, threads: &'a Threads) -> Self {
        Self { values, hidden_size, vocabulary: values.len() / hidden_size, threads }
    }

    /// No gradient yet; none at all where the head is not trained.
    fn gradient(&self, is_trained: bool) -> HeadGradient {
        let values = if is_trained { vec![0.0; self.values.len()] } else { Vec::new() };
        HeadGradient { values, is_begun: false }
    }

    fn blocks(&self, rows: usize) -> impl Iterator<Item = Range<usize>> + use<> {
        let block = most_logits(self.vocabulary) / self.vocabulary;
        (0..rows).step_by(block).map(move |first| first..rows.min(first + block))
    }

    fn view(&self) -> View<'a> {
        View::new(self.values, self.vocabulary, self.hidden_size)
    }

    fn hidden<'b>(&self, hidden: &'b [f32], rows: &Range<usize>) -> View<'b> {
        View::new(&hidden[rows.start * self.hidden_size..], rows.len(), self.hidden_size)
    }

    fn logits(&self, hidden: &[f32], rows: Range<usize>, logits: &mut Vec<f32>) {
        logits.resize(rows.len() * self.vocabulary, 0.0);
        let target = Target::store(logits, self.vocabulary);
        self.threads.multiply(target, self.hidden(hidden, &rows), self.view().transposed());
    }

    fn log_normalizers(&self, logits: &mut [f32]) -> Vec<f32> {
        let parts = self.threads.map_rows(logits, self.vocabulary, |_, rows| {
            let mut exponentials = vec![0.0; self.vocabulary];
            vectorised(
                #[inline(always)]
                || {
                    let mut normalizers = Vec::with_capacity(rows.len() / self.vocabulary);
                    for row in rows.chunks_exact(self.vocabulary) {
                        let largest = maximum(row);
                        exponentials.copy_from_slice(row);
                        exponentiate(&mut exponentials, largest);
                        normalizers.push(largest + sum(&exponentials).ln());
                    }
                    normalizers
                },
            )
        });
        parts.concat()
    }

    /// Turns logits into their gradients: `grad * (one-hot - softmax)`.
    fn grad_logits(&self, logits: &mut [f32], targets: &[u32], normalizers: &[f32], grad: &[f32]) {
        self.threads.map_rows(logits, self.vocabulary, |first, rows| {
            vectorised(
                #[inline(always)]
                || {
                    for (index, row) in rows.chunks_exact_mut(self.vocabulary).enumerate() {
                        let (index, grad) = (first + index, grad[first + index]);
                        exponentiate(row, normalizers[index]);
                        for value in row.iter_mut() {
                            *value *= -grad;
                        }
                        row[targets[index] as usize] += grad;
                    }
                },
            );
        });
    }

    /// Stores the gradient of the rows, and adds to that of the head where it is trained.
    fn add_gradients(
        &self,
        hidden: &[f32],
        rows: Range<usize>,
        grad_logits: &[f32],
        grad_hidden: &mut [f32],
        grad_head: &mut HeadGradient,
    ) {
        let grad_logits = View::new(grad_logits, rows.len(), self.vocabulary);
        let target = Target::store(&mut grad_hidden[rows.start * self.hidden_size..], self.hidden_size);
        self.threads.multiply(target, grad_logits, self.view());
        if grad_head.values.is_empty() {
            return;
        }
        let target = grad_head.target(self.hidden_size);
        self.threads.multiply(target, grad_logits.transposed(), self.hidden(hidden, &rows));
    }
}
