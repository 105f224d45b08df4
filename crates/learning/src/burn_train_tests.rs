//! Our optimizer step beside that of burn-train's `Learner` with burn's own `AdamW`, from the same gradients'
//! graph: another implementation of the same arithmetic, as PyTorch is in `parity_tests`.

use std::{path::Path, sync::Arc};

use burn::{
    backend::tensor::ExecutionError,
    module::Module,
    optim::AdamWConfig,
    tensor::Device,
    train::{InferenceStep, ItemLazy, Learner, TrainOutput, TrainStep},
};
use still_decoder::{DecoderConfig, DecoderWeights, Threads, hugging_face};
use still_policy::{Decoder, ForwardSettings, Parameters, TensorPrecision, TokenBatch};

use crate::optimizer::{Optimizer, Update};

const STEPS: usize = 10;
const RATE: f64 = 1e-3;

/// The decoder as burn-train wants it.
#[derive(Module, Debug)]
struct Model {
    decoder: Decoder,
}

/// What a step is taken on.
struct Item {
    batch: TokenBatch,
    settings: ForwardSettings,
}

struct Loss(f64);

impl ItemLazy for Loss {
    fn sync(self) -> Result<Self, ExecutionError> {
        Ok(self)
    }
}

impl TrainStep for Model {
    type Input = Item;
    type Output = Loss;

    fn step(&self, item: Item) -> TrainOutput<Loss> {
        let loss = self.decoder.fused_log_probabilities(&item.batch, &item.settings).mean().neg();
        let gradients = loss.backward();
        TrainOutput::new(self, gradients, Loss(f64::from(loss.try_into_scalar::<f32>().unwrap())))
    }
}

impl InferenceStep for Model {
    type Input = Item;
    type Output = Loss;

    fn step(&self, item: Item) -> Loss {
        let found = self.decoder.target_log_probabilities(&item.batch, &item.settings);
        Loss(f64::from(found.mean().neg().try_into_scalar::<f32>().unwrap()))
    }
}

fn model() -> (DecoderConfig, DecoderWeights) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../decoder/tests/fixtures/qwen3");
    hugging_face::load_folder(&folder).unwrap()
}

fn item(config: &DecoderConfig) -> Item {
    let (one, two) = ([3, 1, 4, 1, 5, 9, 2], [6, 5, 3, 5, 8]);
    let batch = TokenBatch::new([(&one[..], 2..7), (&two[..], 1..5)], config.vocabulary_size).unwrap();
    let config = Arc::new(config.clone());
    Item {
        batch,
        settings: ForwardSettings { config, threads: Threads::new(1), recompute: false, fused: true },
    }
}

#[test]
fn our_steps_are_those_of_burn_train() {
    let (config, weights) = model();
    let device = Device::flex().autodiff();
    let optimizer = AdamWConfig::new().with_epsilon(1e-8).with_weight_decay(0.01).init();
    let decoder = Decoder::from_weights(&weights, &device, TensorPrecision::F32);
    let mut theirs = Learner::new(Model { decoder }, optimizer, RATE);

    let mut ours = Parameters::Full(weights.to_f32());
    let mut optimizer = Optimizer::new(&ours);
    let update = Update {
        rate: RATE,
        gradient_scale: 1.0,
        betas: [0.9, 0.999],
        epsilon: 1e-8,
        // burn decays everything
        decay: |_| 0.01,
        threads: 1,
    };
    for step in 0..STEPS {
        theirs.lr_step();
        let output = theirs.train_step(item(&config));
        let expected = output.item.0;
        theirs.optimizer_step(output.grads);

        let Parameters::Full(weights) = &ours else { unreachable!("all parameters are trained") };
        let decoder = Decoder::from_weights(weights, &device, TensorPrecision::F32);
        let Item { batch, settings } = item(&config);
        let (loss, gradients) = decoder.loss_and_gradients(&batch, &settings, |found| found.mean().neg());
        optimizer.update(&mut ours, &gradients, &update);
        assert!((loss - expected).abs() < 2e-5 * expected.abs(), "step {step}: {loss} is not {expected}");
    }
}
