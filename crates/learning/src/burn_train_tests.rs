//! Our optimizers' steps beside that of burn-train's `Learner` with burn's own `AdamW`, from the same gradients' graph, and
//! beside burn's own Muon: other implementations of the same arithmetic, as PyTorch is in `parity_tests`.

use std::{
    path::Path,
    sync::{
        Arc,
        mpsc::{Receiver, Sender, channel},
    },
};

use burn::{
    lr_scheduler::cosine::CosineAnnealingLrSchedulerConfig,
    module::{Module, Param},
    nn::{Linear, LinearConfig},
    optim::{
        AdamWConfig, AdjustLrFn, GradientsParams, MuonConfig, decay::WeightDecayConfig,
        momentum::MomentumConfig,
    },
    tensor::{Device, Tensor, TensorData},
    train::{InferenceStep, Learner, TrainOutput, TrainStep},
};
use still_decoder::{DecoderConfig, DecoderWeights, Threads, hugging_face};
use still_recipe::{LearnerSettings, OptimizerName, Schedule};
use still_tensor_decoder::{
    Decoder, ForwardSettings, LayerObserver, Parameters, TensorPrecision, TokenBatch,
};

use crate::{
    optimizer::{Optimizer, Update},
    trained::Trained,
};

const STEPS: usize = 10;
const RATE: f64 = 1e-3;

/// The decoder as burn-train wants it.
#[derive(Module, Debug)]
struct Model {
    decoder: Decoder,
}

/// What a step is taken on, and who receives its loss.
struct Item {
    batch: TokenBatch,
    settings: ForwardSettings,
    loss: Sender<f64>,
}

impl TrainStep for Model {
    type Input = Item;
    type Output = ();

    fn step(&self, item: Item) -> TrainOutput<()> {
        let loss = self.decoder.fused_log_probabilities(&item.batch, &item.settings).mean().neg();
        let gradients = loss.backward();
        item.loss.send(f64::from(loss.into_scalar::<f32>())).unwrap();
        TrainOutput::new(self, gradients, ())
    }
}

impl InferenceStep for Model {
    type Input = ();
    type Output = ();

    fn step(&self, (): ()) {}
}

fn model() -> (DecoderConfig, DecoderWeights) {
    hugging_face::load_folder(Path::new("../decoder/tests/fixtures/qwen3")).unwrap()
}

fn item(config: &DecoderConfig) -> (Item, Receiver<f64>) {
    let (one, two) = ([3, 1, 4, 1, 5, 9, 2], [6, 5, 3, 5, 8]);
    let batch = TokenBatch::new([(&one[..], 2..7), (&two[..], 1..5)], config.vocabulary_size).unwrap();
    let config = Arc::new(config.clone());
    let settings = ForwardSettings {
        config,
        threads: Threads::new(1),
        recompute: false,
        fused: true,
        observer: LayerObserver::default(),
    };
    let (loss, losses) = channel();
    (Item { batch, settings, loss }, losses)
}

#[test]
fn our_steps_are_those_of_burn_train() {
    let (config, weights) = model();
    let device = Device::flex().autodiff();
    let optimizer = AdamWConfig::new().with_epsilon(1e-8).with_weight_decay(0.01).init();
    let decoder = Decoder::from_weights(&weights, &device, TensorPrecision::F32);
    let mut theirs = Learner::new(Model { decoder }, optimizer, RATE);

    let mut ours = Trained::Full(weights.to_f32());
    let mut optimizer = Optimizer::new(OptimizerName::AdamW, &ours);
    let update = Update {
        rate: RATE,
        gradient_scale: 1.0,
        betas: [0.9, 0.999],
        epsilon: 1e-8,
        // burn decays everything
        decay: |_| 0.01,
        threads: &Threads::single(),
    };
    for step in 0..STEPS {
        theirs.lr_step();
        let (given, losses) = item(&config);
        let output = theirs.train_step(given);
        let expected = losses.recv().unwrap();
        theirs.optimizer_step(output.grads);

        let Trained::Full(weights) = &ours else { unreachable!("all parameters are trained") };
        let decoder = Decoder::from_weights(weights, &device, TensorPrecision::F32);
        let Item { batch, settings, .. } = item(&config).0;
        let (loss, gradients) = decoder.loss_and_gradients(&batch, &settings, |found| found.mean().neg());
        optimizer.update(&mut ours, &gradients, &update);
        assert!(
            (loss - expected).abs() < 1e-5 * expected.abs().max(1.0),
            "step {step}: {loss} is not {expected}"
        );
    }
}

#[test]
fn our_cosine_is_burns() {
    let ours = LearnerSettings {
        peak_learning_rate: 3e-3,
        warm_up_fraction: 0.1,
        final_fraction: 0.1,
        schedule: Schedule::Cosine,
        ..LearnerSettings::default()
    };
    // burn's has no warm-up: it begins where ours is at its peak, and ours would end a step after the last
    let (total, warm_up) = (100, 10);
    let theirs = CosineAnnealingLrSchedulerConfig::new(3e-3, total + 1 - warm_up).with_min_lr(3e-4);
    let mut theirs = theirs.init().unwrap();
    for step in warm_up - 1..total {
        let (found, expected) = (ours.learning_rate(step as u64, total as u64), theirs.step().base());
        assert!((found - expected).abs() < 1e-15, "step {step}: {found} is not {expected}");
    }
}

/// A projection that is a matrix of its own, and one that stands between two others: numbers, rows and columns.
fn projections(weights: &DecoderWeights) -> [(Vec<f32>, usize, usize); 2] {
    let layer = &weights.layers[0];
    let (output, qkv) = (layer.output.as_f32().unwrap(), layer.qkv.as_f32().unwrap());
    let (queries, width) = (layer.output.columns(), layer.qkv.columns());
    let keys = (layer.qkv.rows() - queries) / 2;
    [
        (output.to_vec(), layer.output.rows(), queries),
        (qkv[queries * width..][..keys * width].to_vec(), keys, width),
    ]
}

#[test]
fn our_muon_is_burns() {
    let (config, weights) = model();
    let device = Device::flex().autodiff();
    let matrix = |(values, rows, columns): (Vec<f32>, usize, usize)| {
        Tensor::<2>::from_data(TensorData::new(values, [rows, columns]), &device)
    };
    let muon = MuonConfig::new()
        .with_momentum(MomentumConfig { momentum: 0.9, dampening: 0.0, nesterov: true })
        .with_weight_decay(Some(WeightDecayConfig::new(0.1)))
        .with_adjust_lr_fn(AdjustLrFn::MatchRmsAdamW);
    let mut theirs = projections(&weights.to_f32()).map(|found| {
        let linear = LinearConfig::new(found.1, found.2).with_bias(false).init(&device);
        (Linear { weight: Param::from_tensor(matrix(found)).set_require_grad(true), ..linear }, muon.init())
    });

    let mut ours = Trained::Full(weights.to_f32());
    let mut optimizer = Optimizer::new(OptimizerName::Muon, &ours);
    let update = Update {
        rate: RATE,
        gradient_scale: 1.0,
        betas: [0.9, 0.999],
        epsilon: 1e-8,
        decay: |_| 0.1,
        threads: &Threads::new(2),
    };
    for step in 0..STEPS {
        let gradients = DecoderWeights::random(&config, step as u64);
        for ((linear, optimizer), gradient) in theirs.iter_mut().zip(projections(&gradients)) {
            let loss = (linear.weight.val() * matrix(gradient)).sum();
            let gradients = GradientsParams::from_grads(loss.backward(), linear);
            *linear = optimizer.step(RATE, linear.clone(), gradients);
        }
        optimizer.update(&mut ours, &Parameters::Full(gradients), &update);
    }
    let Trained::Full(weights) = &ours else { unreachable!("all parameters are trained") };
    for ((linear, _), (ours, ..)) in theirs.iter().zip(projections(weights)) {
        let theirs = linear.weight.val().into_data().try_into_vec::<f32>().unwrap();
        assert_eq!(theirs.len(), ours.len());
        for (ours, theirs) in ours.iter().zip(theirs) {
            assert!((ours - theirs).abs() < 1e-5, "{ours} is not {theirs}");
        }
    }
}
