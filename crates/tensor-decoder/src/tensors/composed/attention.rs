//! Causal attention inside sequences, forward and backward, by blocks of queries.
//!
//! A block's scores are formed, used and dropped, in the backward pass as well (Dao 2023, arXiv 2307.08691):
//! a sequence's full score matrix never exists. Queries of the heads that share a key head go through one
//! product, so keys and values are never repeated.

use std::ops::Range;

use burn::tensor::{Bool, FloatDType, Int, Tensor, activation};
use still_decoder::Segments;

use crate::memory::QUERY_BLOCK;

/// What hides a score; finite, so that no row of it ever becomes NaN.
const HIDDEN_SCORE: f32 = -1e30;

/// Queries `[tokens, heads, head_dim]`, keys and values `[tokens, groups, head_dim]`.
pub(super) struct Heads {
    pub(super) queries: Tensor<3>,
    pub(super) keys: Tensor<3>,
    pub(super) values: Tensor<3>,
}

/// Attention over a batch's sequences.
pub(super) struct Attention<'a> {
    pub(super) segments: &'a Segments,
}

impl Heads {
    /// The same without a graph.
    pub(super) fn inner(&self) -> Self {
        Self {
            queries: self.queries.clone().inner(),
            keys: self.keys.clone().inner(),
            values: self.values.clone().inner(),
        }
    }
}

impl Attention<'_> {
    /// The attended values, `[tokens, heads * head_dim]`.
    pub(super) fn forward(&self, heads: &Heads) -> Tensor<2> {
        let mut attended = Vec::new();
        for tokens in self.segments.ranges() {
            let sequence = Sequence::new(heads, &tokens);
            for block in sequence.blocks() {
                let values = sequence.values.clone().narrow(1, 0, block.end);
                attended.push(sequence.to_rows(sequence.shares(&block).matmul(values), &block));
            }
        }
        Tensor::cat(attended, 0)
    }

    /// The gradients of queries, keys and values.
    pub(super) fn backward(&self, heads: &Heads, attended: &Tensor<2>, grad: &Tensor<2>) -> Heads {
        let (mut queries, mut keys, mut values) = (Vec::new(), Vec::new(), Vec::new());
        for tokens in self.segments.ranges() {
            let sequence = Sequence::new(heads, &tokens);
            let mut grad_keys = sequence.keys.zeros_like();
            let mut grad_values = sequence.values.zeros_like();
            for block in sequence.blocks() {
                let of = |tensor: &Tensor<2>| {
                    let first = tokens.start + block.start;
                    sequence.to_groups(tensor.clone().narrow(0, first, block.len()), &block)
                };
                let (attended, grad) = (of(attended), of(grad));
                let shares = sequence.shares(&block);
                let grad_scores = sequence.grad_scores(&block, &shares, attended, grad.clone());
                let seen = sequence.keys.clone().narrow(1, 0, block.end);
                queries.push(sequence.to_rows(grad_scores.clone().matmul(seen), &block));
                let of_keys = grad_scores.transpose().matmul(sequence.queries(&block));
                grad_keys = add_to_first(grad_keys, of_keys);
                grad_values = add_to_first(grad_values, shares.transpose().matmul(grad));
            }
            keys.push(grad_keys.swap_dims(0, 1));
            values.push(grad_values.swap_dims(0, 1));
        }
        Heads {
            queries: Tensor::cat(queries, 0).reshape(heads.queries.dims()),
            keys: Tensor::cat(keys, 0),
            values: Tensor::cat(values, 0),
        }
    }
}

/// One sequence, heads first: queries `[heads, tokens, head_dim]`, keys and values `[groups, ..]`.
struct Sequence {
    queries: Tensor<3>,
    keys: Tensor<3>,
    values: Tensor<3>,
    scale: f64,
}

impl Sequence {
    fn new(heads: &Heads, tokens: &Range<usize>) -> Self {
        let of = |tensor: &Tensor<3>| tensor.clone().narrow(0, tokens.start, tokens.len()).swap_dims(0, 1);
        let head_dim = heads.queries.dims()[2];
        Self {
            queries: of(&heads.queries),
            keys: of(&heads.keys),
            values: of(&heads.values),
            scale: 1.0 / (head_dim as f64).sqrt(),
        }
    }

    fn blocks(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let length = self.queries.dims()[1];
        (0..length).step_by(QUERY_BLOCK).map(move |start| start..(start + QUERY_BLOCK).min(length))
    }

    /// A block's queries, `[groups, heads of a group * block, head_dim]`.
    fn queries(&self, block: &Range<usize>) -> Tensor<3> {
        self.group(self.queries.clone().narrow(1, block.start, block.len()))
    }

    /// How much each query of a block takes of each token up to the block's end,
    /// `[groups, heads of a group * block, block.end]`.
    fn shares(&self, block: &Range<usize>) -> Tensor<3> {
        let queries = self.queries(block);
        let dtype: FloatDType = queries.dtype().into();
        let [groups, rows, _] = queries.dims();
        let keys = self.keys.clone().narrow(1, 0, block.end);
        let scores = queries.matmul(keys.transpose()).cast(FloatDType::F32).mul_scalar(self.scale);
        let size = [groups, rows / block.len(), block.len(), block.end];
        let hidden = self.hidden(block).expand(size);
        let shares = activation::softmax(scores.reshape(size).mask_fill(hidden, HIDDEN_SCORE), 3);
        shares.reshape([groups, rows, block.end]).cast(dtype)
    }

    /// The gradient of a block's scores, given that of its attended values.
    fn grad_scores(
        &self,
        block: &Range<usize>,
        shares: &Tensor<3>,
        attended: Tensor<3>,
        grad: Tensor<3>,
    ) -> Tensor<3> {
        let dtype: FloatDType = shares.dtype().into();
        let seen = self.values.clone().narrow(1, 0, block.end);
        let grad_shares = grad.clone().matmul(seen.transpose()).cast(FloatDType::F32);
        // the sum over a row of share times its gradient
        let taken_off = (grad.cast(FloatDType::F32) * attended.cast(FloatDType::F32)).sum_dim(2);
        let grad_scores = shares.clone().cast(FloatDType::F32) * (grad_shares - taken_off);
        grad_scores.mul_scalar(self.scale).cast(dtype)
    }

    /// Tokens that come after a query, `[1, 1, block, block.end]`.
    fn hidden(&self, block: &Range<usize>) -> Tensor<4, Bool> {
        let device = self.keys.device();
        let rows = Tensor::<1, Int>::arange(block.start as i64..block.end as i64, &device);
        let columns = Tensor::<1, Int>::arange(0..block.end as i64, &device);
        let rows: Tensor<2, Int> = rows.unsqueeze_dim(1);
        let columns: Tensor<2, Int> = columns.unsqueeze_dim(0);
        let size = [block.len(), block.end];
        columns.expand(size).greater(rows.expand(size)).reshape([1, 1, block.len(), block.end])
    }

    /// `[heads, block, head_dim]` by the key head that they share.
    fn group(&self, heads: Tensor<3>) -> Tensor<3> {
        let [head_count, block, head_dim] = heads.dims();
        let groups = self.keys.dims()[0];
        heads.reshape([groups, head_count / groups * block, head_dim])
    }

    /// `[groups, heads of a group * block, head_dim]` to `[block, heads * head_dim]`.
    fn to_rows(&self, grouped: Tensor<3>, block: &Range<usize>) -> Tensor<2> {
        let [heads, _, head_dim] = self.queries.dims();
        let by_head = grouped.reshape([heads, block.len(), head_dim]);
        by_head.swap_dims(0, 1).reshape([block.len(), heads * head_dim])
    }

    /// The way back.
    fn to_groups(&self, rows: Tensor<2>, block: &Range<usize>) -> Tensor<3> {
        let [heads, _, head_dim] = self.queries.dims();
        self.group(rows.reshape([block.len(), heads, head_dim]).swap_dims(0, 1))
    }
}

/// Adds to the first tokens of a sum, `[groups, tokens, head_dim]`.
fn add_to_first(sum: Tensor<3>, more: Tensor<3>) -> Tensor<3> {
    let [groups, tokens, head_dim] = more.dims();
    if tokens == sum.dims()[1] {
        return sum + more;
    }
    let first = sum.clone().narrow(1, 0, tokens);
    sum.slice_assign([0..groups, 0..tokens, 0..head_dim], first + more)
}
