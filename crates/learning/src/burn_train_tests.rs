//! Our optimizers' steps beside that of burn-train's `Learner` with burn's own `AdamW`, and beside
//! burn's own Muon, from the same gradients: other implementations of the same arithmetic, as PyTorch is in `parity_tests`.

use std::path::Path;

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
use still_tensor_decoder::Parameters;

use crate::{
    optimizer::{Optimizer, Update},
    trained::Trained,
};

const STEPS: usize = 10;
const RATE: f64 = 1e-3;

/// Projections of a decoder as burn-train wants them.
#[derive(Module, Debug)]
struct Model {
    projections: Vec<Linear>,
}

impl TrainStep for Model {
    /// The gradient of each projection.
    type Input = Vec<Tensor<2>>;
    type Output = ();

    fn step(&self, gradients: Vec<Tensor<2>>) -> TrainOutput<()> {
        let terms = self.projections.iter().zip(gradients);
        let loss = terms.map(|(linear, gradient)| (linear.weight.val() * gradient).sum());
        let loss = loss.reduce(|sum, term| sum + term).unwrap();
        TrainOutput::new(self, loss.backward(), ())
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

/// One of burn's layers with these numbers, trained.
fn linear((values, rows, columns): (Vec<f32>, usize, usize), device: &Device) -> Linear {
    let weight = Param::from_tensor(matrix((values, rows, columns), device)).set_require_grad(true);
    Linear { weight, ..LinearConfig::new(rows, columns).with_bias(false).init(device) }
}

fn matrix((values, rows, columns): (Vec<f32>, usize, usize), device: &Device) -> Tensor<2> {
    Tensor::from_data(TensorData::new(values, [rows, columns]), device)
}

#[track_caller]
fn assert_same<'a>(theirs: impl IntoIterator<Item = &'a Linear>, ours: &Trained) {
    let Trained::Full(weights) = ours else { unreachable!("all parameters are trained") };
    for (linear, (ours, ..)) in theirs.into_iter().zip(projections(weights)) {
        let theirs = linear.weight.val().into_data().try_into_vec::<f32>().unwrap();
        assert_eq!(theirs.len(), ours.len());
        for (ours, theirs) in ours.iter().zip(theirs) {
            assert!((ours - theirs).abs() < 1e-5, "{ours} is not {theirs}");
        }
    }
}

#[test]
fn our_steps_are_those_of_burn_train() {
    let (config, weights) = model();
    let device = Device::flex().autodiff();
    let optimizer = AdamWConfig::new().with_epsilon(1e-8).with_weight_decay(0.01).init();
    let start = projections(&weights.to_f32()).map(|found| linear(found, &device));
    let mut theirs = Learner::new(Model { projections: start.to_vec() }, optimizer, RATE);

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
        let gradients = DecoderWeights::random(&config, step as u64);
        theirs.lr_step();
        let output = theirs.train_step(projections(&gradients).map(|found| matrix(found, &device)).to_vec());
        theirs.optimizer_step(output.grads);
        optimizer.update(&mut ours, &Parameters::Full(gradients), &update);
    }
    assert_same(&theirs.model().projections, &ours);
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
    let muon = MuonConfig::new()
        .with_momentum(MomentumConfig { momentum: 0.9, dampening: 0.0, nesterov: true })
        .with_weight_decay(Some(WeightDecayConfig::new(0.1)))
        .with_adjust_lr_fn(AdjustLrFn::MatchRmsAdamW);
    let mut theirs = projections(&weights.to_f32()).map(|found| (linear(found, &device), muon.init()));

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
            let loss = (linear.weight.val() * matrix(gradient, &device)).sum();
            let gradients = GradientsParams::from_grads(loss.backward(), linear);
            *linear = optimizer.step(RATE, linear.clone(), gradients);
        }
        optimizer.update(&mut ours, &Parameters::Full(gradients), &update);
    }
    assert_same(theirs.iter().map(|(linear, _)| linear), &ours);
}
