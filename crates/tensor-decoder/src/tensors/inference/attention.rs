//! A group's queries against what its slots hold and what the step brings.
//!
//! Query heads that share a key head are laid together, `[lanes, key heads, heads of a group * tokens, ..]`,
//! so that grouped heads are never copied. Cached keys are read where they lie. Scores are softened in f32.
//! A group with many scores goes in pieces, by lanes and, for a long span, by queries too.

use std::ops::Range;

use burn::tensor::{Bool, DType, Device, Int, Tensor, TensorData, activation};
use still_decoder::DecoderConfig;

use super::{
    cache::CacheLayer,
    layout::{Group, Lanes},
};

/// Stands for minus infinity, without its pitfalls.
const HIDDEN_SCORE: f32 = -1e30;

/// What every layer's attention of a group has in common.
pub(super) struct GroupAttention {
    group: Group,
    heads: HeadCounts,
    /// By lanes, then by queries.
    pieces: Vec<Vec<Piece>>,
}

/// Queries, keys and values of a step's rows, all `[rows, heads, head_dim]`; queries are scaled.
pub(super) struct Heads {
    pub(super) queries: Tensor<3>,
    pub(super) keys: Tensor<3>,
    pub(super) values: Tensor<3>,
}

#[derive(Clone, Copy)]
struct HeadCounts {
    query: usize,
    key_value: usize,
    dim: usize,
}

/// Some queries of some lanes.
struct Piece {
    lanes: Range<usize>,
    queries: Range<usize>,
    /// Slots of the lanes, unless they are all slots in order; `[lanes]`.
    slots: Option<Tensor<1, Int>>,
    /// Positions that a query does not see, `[lanes, 1, heads of a group * queries, extent + tokens]`.
    hidden: Tensor<4, Bool>,
}

impl GroupAttention {
    pub(super) fn new(config: &DecoderConfig, group: &Group, max_scores: usize, device: &Device) -> Self {
        let heads = HeadCounts {
            query: config.attention_head_count,
            key_value: config.key_value_head_count,
            dim: config.head_dim,
        };
        let (lane_count, tokens) = (group.lane_count(), group.tokens_per_lane);
        let scores_of_a_query = heads.query * (group.extent + tokens);
        let lanes_at_once = (max_scores / (scores_of_a_query * tokens)).clamp(1, lane_count);
        let queries_at_once =
            if lanes_at_once > 1 { tokens } else { (max_scores / scores_of_a_query).clamp(1, tokens) };
        let pieces = ranges(lane_count, lanes_at_once).map(|lanes| {
            let of_queries = ranges(tokens, queries_at_once);
            of_queries.map(|queries| Piece::new(group, heads, lanes.clone(), queries, device)).collect()
        });
        Self { pieces: pieces.collect(), group: group.clone(), heads }
    }

    /// Attended values of the group's rows, `[rows, query heads * head_dim]`.
    pub(super) fn forward(&self, cache: &CacheLayer, step: &Heads) -> Tensor<2> {
        let (first, count) = (self.group.first_row, self.group.row_count());
        let mine = |heads: &Tensor<3>| heads.clone().narrow(0, first, count);
        let (lanes, tokens) = (self.group.lane_count(), self.group.tokens_per_lane);
        let HeadCounts { query, key_value, dim } = self.heads;
        let queries = mine(&step.queries)
            .reshape([lanes, tokens, key_value, query / key_value, dim])
            .permute([0, 2, 3, 1, 4]);
        let by_head =
            |heads: &Tensor<3>| mine(heads).reshape([lanes, tokens, key_value, dim]).swap_dims(1, 2);
        let (keys, values) = (by_head(&step.keys), by_head(&step.values));
        let attended = self.pieces.iter().map(|of_queries| {
            let attended = of_queries.iter().map(|piece| {
                let queries =
                    piece.cut(queries.clone(), 0).narrow(3, piece.queries.start, piece.queries.len());
                let new = [&keys, &values].map(|heads| piece.cut(heads.clone(), 0));
                piece.forward(self.heads, self.group.extent, queries, cache, new)
            });
            joined(attended.collect(), 1)
        });
        joined(attended.collect(), 0).reshape([count, query * dim])
    }
}

impl Piece {
    fn new(
        group: &Group,
        heads: HeadCounts,
        lanes: Range<usize>,
        queries: Range<usize>,
        device: &Device,
    ) -> Self {
        let slots = match &group.lanes {
            Lanes::Every => None,
            Lanes::Some(slots) => Some(integers(slots, &lanes, device)),
        };
        let (lane_count, tokens) = (lanes.len(), group.tokens_per_lane);
        let together = heads.query / heads.key_value;
        let rows = together * queries.len();

        // of the new tokens, a query sees those before it and itself
        let own: Tensor<1, Int> = Tensor::arange(queries.start as i64..queries.end as i64, device);
        let new: Tensor<1, Int> = Tensor::arange(0..tokens as i64, device);
        let square = [queries.len(), tokens];
        let later =
            new.reshape([1, tokens]).expand(square).greater(own.reshape([queries.len(), 1]).expand(square));
        let later = later.reshape([1, square[0], square[1]]).expand([together, square[0], square[1]]);
        let mut hidden = later.reshape([1, 1, rows, tokens]).expand([lane_count, 1, rows, tokens]);

        // of the cached ones, what its own slot held before
        if group.extent > 0 {
            let starts = integers(&group.starts, &lanes, device);
            let cached: Tensor<1, Int> = Tensor::arange(0..group.extent as i64, device);
            let shape = [lane_count, 1, rows, group.extent];
            let cached = cached.reshape([1, 1, 1, group.extent]).expand(shape);
            let starts = starts.reshape([lane_count, 1, 1, 1]).expand(shape);
            hidden = Tensor::cat(vec![cached.greater_equal(starts), hidden], 3);
        }
        Self { lanes, queries, slots, hidden }
    }

    /// This piece's lanes of a tensor that has them in dimension `dim`.
    fn cut<const D: usize>(&self, tensor: Tensor<D>, dim: usize) -> Tensor<D> {
        tensor.narrow(dim, self.lanes.start, self.lanes.len())
    }

    /// Keys or values that the lanes' slots hold, `[lanes, heads, extent, head_dim]`.
    fn cached(&self, tensor: &Tensor<4>, extent: usize) -> Tensor<4> {
        let seen = tensor.clone().narrow(2, 0, extent);
        match &self.slots {
            None => self.cut(seen, 0),
            Some(slots) => seen.select(0, slots.clone()),
        }
    }

    /// Attended values, `[lanes, queries, query heads * head_dim]`, of queries `[lanes, key heads, heads of a
    /// group, queries, head_dim]` and new keys and values `[lanes, key heads, tokens, head_dim]`.
    fn forward(
        &self,
        heads: HeadCounts,
        extent: usize,
        queries: Tensor<5>,
        cache: &CacheLayer,
        [keys, values]: [Tensor<4>; 2],
    ) -> Tensor<3> {
        let dtype = queries.dtype();
        let HeadCounts { query, key_value, dim } = heads;
        let (lanes, count) = (self.lanes.len(), self.queries.len());
        let rows = query / key_value * count;
        let tokens = keys.dims()[2];
        let queries: Tensor<4> = queries.reshape([lanes, key_value, rows, dim]);
        let mut scores = queries.clone().matmul(keys.transpose());
        if extent > 0 {
            let cached = queries.matmul(self.cached(&cache.keys, extent).transpose());
            scores = Tensor::cat(vec![cached, scores], 3);
        }
        let hidden = self.hidden.clone().expand([lanes, key_value, rows, extent + tokens]);
        let scores = scores.cast(DType::F32).mask_fill(hidden, HIDDEN_SCORE);
        let shares = activation::softmax(scores, 3).cast(dtype);
        let mut attended = shares.clone().narrow(3, extent, tokens).matmul(values);
        if extent > 0 {
            attended = shares.narrow(3, 0, extent).matmul(self.cached(&cache.values, extent)) + attended;
        }
        attended
            .reshape([lanes, key_value, query / key_value, count, dim])
            .permute([0, 3, 1, 2, 4])
            .reshape([lanes, count, query * dim])
    }
}

/// `0..count` in ranges of `length`.
fn ranges(count: usize, length: usize) -> impl Iterator<Item = Range<usize>> {
    (0..count).step_by(length).map(move |start| start..(start + length).min(count))
}

/// Tensors one after another; a single one as it is.
pub(super) fn joined<const D: usize>(mut tensors: Vec<Tensor<D>>, dim: usize) -> Tensor<D> {
    if tensors.len() == 1 { tensors.remove(0) } else { Tensor::cat(tensors, dim) }
}

fn integers(values: &[usize], range: &Range<usize>, device: &Device) -> Tensor<1, Int> {
    let values: Vec<i64> =
        values.get(range.clone()).unwrap_or_default().iter().map(|value| *value as i64).collect();
    let length = values.len();
    Tensor::from_data(TensorData::new(values, [length]), device)
}
