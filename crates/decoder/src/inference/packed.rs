//! The weights as the steps want them: matrices in panels, norms and biases as they are.

use pulp::Arch;

use super::attention::Run;
use super::decoder::Span;
use super::kernel::{PackedRows, Product};
use super::pages::Pages;
use super::panels::{Layout, PANEL, PanelMatrix, PanelSlice, WeightPrecision};
use super::shared::SharedSlice;
use super::team::Team;
use crate::lanes::vectorised;
use crate::training::inverse_root;
use crate::{DecoderConfig, DecoderWeights, LayerWeights, Matrix, RopeTable};

/// Multiply-adds below which work is not worth sharing among threads.
pub(super) const MIN_SHARED_WORK: usize = 1 << 17;
/// Multiply-adds that rotating a number is about worth.
const ROTATION_COST: usize = 3;
/// Pieces that a shared product is cut into for each thread, so that a thread that is held up is helped.
const PIECES_PER_THREAD: usize = 4;

/// The weights of the whole decoder.
#[derive(Debug)]
pub(super) struct PackedWeights {
    /// Kept when the head is another matrix.
    pub(super) embedding: Option<Matrix>,
    pub(super) layers: Vec<PackedLayer>,
    pub(super) final_norm: Vec<f32>,
    pub(super) head: PanelMatrix,
    /// What the panels of all matrices lie in.
    pub(super) pages: Pages,
}

/// The weights of one block.
#[derive(Debug)]
pub(super) struct PackedLayer {
    pub(super) input_norm: Vec<f32>,
    pub(super) qkv: PanelMatrix,
    pub(super) qkv_bias: Option<Vec<f32>>,
    pub(super) head_norms: Option<(Vec<f32>, Vec<f32>)>,
    pub(super) output: PanelMatrix,
    pub(super) post_attention_norm: Vec<f32>,
    pub(super) gate_up: PanelMatrix,
    pub(super) down: PanelMatrix,
}

impl PackedWeights {
    pub(super) fn new(weights: &DecoderWeights, precision: WeightPrecision, team: &Team) -> Self {
        Self::on(Pages::zeroed(0), weights, precision, team)
    }

    pub(super) fn replace(&mut self, weights: &DecoderWeights, precision: WeightPrecision, team: &Team) {
        let pages = std::mem::replace(&mut self.pages, Pages::zeroed(0));
        *self = Self::on(pages, weights, precision, team);
    }

    /// Packs weights into `pages` where those are of the right size, else into fresh ones.
    fn on(mut pages: Pages, weights: &DecoderWeights, precision: WeightPrecision, team: &Team) -> Self {
        let mut layout = Layout::default();
        let reserve_layer = |layer| PackedLayer::reserved(layer, precision, &mut layout);
        let layers: Vec<_> = weights.layers.iter().map(reserve_layer).collect();
        let head = layout.reserve(weights.head(), precision);
        if pages.line_count() != layout.line_count() {
            // the old ones are freed first
            drop(pages);
            pages = Pages::zeroed(layout.line_count());
        }
        for (packed, layer) in layers.iter().zip(&weights.layers) {
            packed.qkv.fill(&mut pages, &layer.qkv, team);
            packed.output.fill(&mut pages, &layer.output, team);
            packed.gate_up.fill(&mut pages, &layer.gate_up, team);
            packed.down.fill(&mut pages, &layer.down, team);
        }
        head.fill(&mut pages, weights.head(), team);
        let embedding = own_embedding(weights, precision);
        Self { embedding, layers, final_norm: weights.final_norm.clone(), head, pages }
    }

    pub(super) fn embed(&self, config: &DecoderConfig, spans: &[Span<'_>], x: &mut Vec<f32>) {
        let hidden = config.hidden_size;
        let tokens = spans.iter().flat_map(|span| span.tokens);
        x.resize(tokens.clone().count() * hidden, 0.0);
        for (token, x) in tokens.zip(x.chunks_exact_mut(hidden)) {
            let row = *token as usize;
            assert!(row < config.vocabulary_size, "token {token} is not in the vocabulary");
            match &self.embedding {
                None => self.head.read_row(&self.pages, row, config.embedding_multiplier, x),
                Some(embedding) => {
                    embedding.read_row(row, x);
                    for value in x {
                        *value *= config.embedding_multiplier;
                    }
                }
            }
        }
    }
}

impl PackedLayer {
    /// Reserves the panels of the matrices; they are filled later.
    fn reserved(layer: &LayerWeights, precision: WeightPrecision, layout: &mut Layout) -> Self {
        Self {
            input_norm: layer.input_norm.clone(),
            qkv: layout.reserve(&layer.qkv, precision),
            qkv_bias: layer.qkv_bias.clone(),
            head_norms: layer.query_norm.clone().zip(layer.key_norm.clone()),
            output: layout.reserve(&layer.output, precision),
            post_attention_norm: layer.post_attention_norm.clone(),
            gate_up: layout.reserve(&layer.gate_up, precision),
            down: layout.reserve(&layer.down, precision),
        }
    }

    /// Adds biases, normalises heads where the model does, rotates, and scales queries for the softmax.
    pub(super) fn prepare_heads(
        &self,
        config: &DecoderConfig,
        rope: &RopeTable,
        runs: &[Run],
        qkv: &mut [f32],
        team: &Team,
    ) {
        let (width, stride) = (config.head_dim, config.qkv_size());
        let turned = config.query_size() + config.key_value_size();
        let scale = 1.0 / (width as f32).sqrt();
        let positions = runs.iter().flat_map(|run| run.position..run.position + run.count);
        over_rows(qkv, stride, ROTATION_COST, team, |first, rows| {
            vectorised(
                #[inline(always)]
                || {
                    for (row, position) in rows.chunks_exact_mut(stride).zip(positions.clone().skip(first)) {
                        if let Some(bias) = &self.qkv_bias {
                            row.iter_mut().zip(bias).for_each(|(value, bias)| *value += bias);
                        }
                        for (index, head) in row[..turned].chunks_exact_mut(width).enumerate() {
                            let is_query = index < config.attention_head_count;
                            if let Some((query_norm, key_norm)) = &self.head_norms {
                                let norm = if is_query { query_norm } else { key_norm };
                                let root = inverse_root(head, config.rms_norm_epsilon);
                                for (value, norm) in head.iter_mut().zip(norm) {
                                    *value = norm * (*value * root);
                                }
                            }
                            rope.rotate(head, position);
                            if is_query {
                                for value in head {
                                    *value *= scale;
                                }
                            }
                        }
                    }
                },
            );
        });
    }
}

impl PanelMatrix {
    /// `out (+)= x W'`; panels are shared out among the threads.
    pub(super) fn multiply(
        &self,
        pages: &Pages,
        x: &[f32],
        out: &mut [f32],
        accumulates: bool,
        packed: &mut PackedRows,
        team: &Team,
    ) {
        let rows = x.len() / self.inner();
        let panels = self.rows().div_ceil(PANEL);
        let work = rows * self.inner() * self.rows();
        let pieces = if team.count() == 1 || work < MIN_SHARED_WORK {
            1
        } else {
            panels.min(team.count() * PIECES_PER_THREAD)
        };
        let x = if self.takes_pairs() {
            packed.pack_pairs(x, rows, self.inner(), team)
        } else {
            packed.pack(x, rows, self.inner(), self.inner(), team)
        };
        let out = SharedSlice::new(out);
        let panels_slice = self.slice(pages);
        let panel_stride = match panels_slice {
            PanelSlice::F32(_) => self.inner() * PANEL,
            PanelSlice::Bf16(_) => self.inner() / 2 * PANEL,
        };
        team.for_each(pieces, |piece, _| {
            Arch::new().dispatch(Product {
                x,
                panels: panels_slice,
                panel_stride,
                range: piece * panels / pieces..(piece + 1) * panels / pieces,
                out,
                out_stride: self.rows(),
                columns: self.rows(),
                accumulates,
            });
        });
    }
}

/// The embedding, when the head is another matrix.
fn own_embedding(weights: &DecoderWeights, precision: WeightPrecision) -> Option<Matrix> {
    weights.head.as_ref()?;
    Some(match precision {
        WeightPrecision::AsGiven => weights.embedding.clone(),
        WeightPrecision::Bf16 => weights.embedding.to_bf16(),
    })
}

/// Calls `work`, which does about `cost` multiply-adds a number, on parts of the rows: one a thread when that is worth it.
pub(super) fn over_rows(
    rows: &mut [f32],
    width: usize,
    cost: usize,
    team: &Team,
    work: impl Fn(usize, &mut [f32]) + Sync,
) {
    if rows.len() * cost < MIN_SHARED_WORK || team.count() == 1 {
        work(0, rows);
    } else {
        let per_part = (rows.len() / width).div_ceil(team.count()).max(1);
        team.for_each_chunk(rows, per_part * width, |part, rows| work(part * per_part, rows));
    }
}
