//! Forward and backward of the decoder on concatenated sequences.
//!
//! Sequences lie one after another without padding: activations are `[tokens, width]`, row-major, and [`Segments`] says
//! where a sequence begins. Attention is causal inside a segment and positions restart with it. Memory is linear in the
//! number of tokens: attention works in blocks of queries, in the backward pass too, and log-probabilities in blocks of
//! tokens.
//!
//! With several threads, segments are shared out in runs of about the same length when there are enough of them: each
//! thread then takes its run through the whole block alone, and weight gradients are summed in the order of the runs.
//! Otherwise the threads share each matrix product. Both cuts depend on lengths and thread count only.

mod attention;
mod embedding;
mod head;
mod heads;
mod layer;
mod merged;
mod model;
mod norm;
mod orthogonal;
mod segments;

pub use embedding::{embedding_backward, embedding_forward};
pub use head::{
    LogLikelihoodGradients, TokenLogProbabilities, most_logits, token_log_probabilities,
    token_log_probabilities_backward, weighted_log_likelihood,
};
pub use layer::{ActivationMode, LayerActivations, LayerGradients, LayerPass, layer_backward, layer_forward};
pub use merged::{merge_change, merged_change_backward};
pub use model::{
    DecoderGradients, Loss, ModelPass, ModelView, Objective, TargetsView, model_gradients,
    model_hidden_states, model_log_probabilities, model_loss,
};
pub(crate) use norm::{inverse_root, scale_row};
pub use norm::{rms_norm_backward, rms_norm_forward};
pub use orthogonal::orthogonalize;
pub use segments::Segments;
