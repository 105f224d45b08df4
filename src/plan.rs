//! What a run will take, before it takes it: `stilld run --dry-run`.

use still_control::Exit;
use still_daemon::config::{Config, Device};
use still_decoder::{CpuDecoder, DecoderConfig};
use still_learning::{Footprint, part_tokens};

use crate::{
    failure::{Failure, OrExit},
    model::Model,
    settings,
};

/// Room for the prompt in every rollout's slot, in tokens.
pub(crate) const PROMPT_TOKENS: usize = 2_048;
/// Bytes of an f32.
const FLOAT_BYTES: usize = 4;
/// Rows of logits that a step holds at most.
const STEP_TOKENS: usize = 512;

/// One line of the plan.
struct Item {
    what: String,
    bytes: usize,
}

/// Prints the plan.
pub(crate) fn print(config: &Config) -> Result<(), Failure> {
    let model = Model::load(config)?;
    let items = items(config, &model.config);
    let mut text = format!("model {}: {} parameters\n", config.model.source, model.config.parameter_count());
    for item in &items {
        text += &format!("  {:<44} {:>10}\n", item.what, mebibytes(item.bytes));
    }
    let total = items.iter().map(|item| item.bytes).sum();
    text += &format!("  {:<44} {:>10}\n", "together", mebibytes(total));
    std::io::Write::write_all(&mut std::io::stdout(), text.as_bytes()).or_exit(Exit::Internal)
}

fn items(config: &Config, decoder: &DecoderConfig) -> Vec<Item> {
    let parameters = decoder.parameter_count() * FLOAT_BYTES;
    let learner = settings::learner(config);
    let fused = config.device.learner == Device::Cpu;
    let job = &learner.improvement;
    let longest = part_tokens(job, &learner, decoder.max_position_count);
    let training = Footprint::new(decoder, &learner, longest, fused);
    let generator = |rollouts: usize, new_tokens: u32| {
        let tokens = decoder.max_position_count.min(new_tokens as usize + PROMPT_TOKENS);
        CpuDecoder::memory_bytes(decoder, false, rollouts, tokens, STEP_TOKENS, rollouts)
    };
    let (exploration, evaluation) = (&config.exploration, &config.evaluation);
    let rollouts = exploration.concurrent_rollouts.div_ceil(config.device.samplers.len().max(1));
    let mut items = vec![
        Item { what: "base and published policy".to_owned(), bytes: 2 * parameters },
        Item { what: "learner: masters and moments".to_owned(), bytes: training.state },
        Item { what: "learner: last good state, checkpoint".to_owned(), bytes: training.last_good },
        Item {
            what: format!("learner ({}): parameters, gradients", config.device.learner),
            bytes: training.device,
        },
        Item {
            what: format!("learner ({}): {longest} tokens at once", config.device.learner),
            bytes: training.activations,
        },
    ];
    for (number, device) in config.device.samplers.iter().enumerate() {
        items.push(Item {
            what: format!("sampler {number} ({device}): weights and cache"),
            bytes: generator(rollouts, exploration.sampling.max_new_tokens),
        });
    }
    items.push(Item {
        what: format!("evaluator ({}): weights and cache", config.device.evaluator),
        bytes: generator(evaluation.concurrent_rollouts, evaluation.sampling.max_new_tokens),
    });
    items
}

fn mebibytes(bytes: usize) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}
