//! The training arithmetic against transformers: logits, losses, gradients; and against itself: packing, recomputation,
//! threads, finite differences.

#![allow(clippy::unwrap_used)]

mod support;

use still_decoder::{
    ActivationMode, DecoderConfig, DecoderGradients, DecoderWeights, LayerPass, ModelPass, ModelView,
    Objective, RopeTable, Segments, TargetsView, Threads, layer_forward, model_gradients,
    model_hidden_states, model_loss, token_log_probabilities, token_log_probabilities_backward,
    weighted_log_likelihood,
};
use support::{Fixture, MODELS, json, largest_difference, logits, norm};

/// The mean negative log-likelihood of the targets that are there, and the gradient of every parameter.
fn loss_and_gradients(
    config: &DecoderConfig,
    weights: &DecoderWeights,
    (segments, tokens, targets): (&Segments, &[u32], &[Option<u32>]),
    mode: ActivationMode,
    threads: &Threads,
) -> (f32, DecoderGradients) {
    let (rows, targets): (Vec<usize>, Vec<u32>) =
        targets.iter().enumerate().filter_map(|(row, target)| Some((row, (*target)?))).unzip();
    let pass = ModelPass { config, threads, mode, passed: &|| {} };
    let batch = TargetsView { segments, tokens, rows: &rows, targets: &targets };
    let objective = Objective::Likelihood(-1.0 / targets.len() as f64);
    let (loss, gradients) = model_gradients(pass, &ModelView::whole(weights).unwrap(), batch, objective);
    (loss as f32, gradients)
}

#[test]
fn logits_match_transformers() {
    for name in MODELS {
        let fixture = Fixture::load(name);
        let (segments, tokens, _) = fixture.packed();
        let hidden =
            model_hidden_states(&fixture.config, &fixture.weights, &segments, &tokens, &Threads::single())
                .unwrap();
        let difference = largest_difference(&logits(&hidden, &fixture.weights), &fixture.logits.concat());
        assert!(difference < 1e-4, "{name}: {difference}");
    }
}

#[test]
fn both_styles_of_configuration_mean_the_same() {
    for name in MODELS {
        let fixture = Fixture::load(name);
        let new = DecoderConfig::from_hugging_face(&json(&fixture.folder.join("config_v5.json"))).unwrap();
        assert_eq!(new, fixture.config, "{name}");
    }
}

#[test]
fn losses_and_gradients_match_transformers() {
    for name in MODELS {
        let fixture = Fixture::load(name);
        let (segments, tokens, targets) = fixture.packed();
        for (threads, mode) in
            [(1, ActivationMode::Keep), (2, ActivationMode::Keep), (3, ActivationMode::Recompute)]
        {
            let threads = Threads::new(threads);
            let batch = (&segments, &tokens[..], &targets[..]);
            let (loss, gradients) =
                loss_and_gradients(&fixture.config, &fixture.weights, batch, mode, &threads);
            assert!((loss - fixture.loss()).abs() < 1e-5, "{name}: {loss} {}", fixture.loss());
            let found = gradients.into_named(&fixture.config);
            let expected = fixture.gradients();
            assert_eq!(found.len(), expected.len());
            let mut total = 0.0;
            for gradient in &found {
                let other = expected.iter().find(|other| other.name == gradient.name).unwrap();
                let (size, wanted) = (norm(&gradient.values), norm(&other.values));
                total += size * size;
                assert!((size - wanted).abs() < 1e-4 * wanted, "{name} {}: {size} {wanted}", gradient.name);
                let difference = largest_difference(&gradient.values, &other.values);
                assert!(f64::from(difference) < 1e-4 * wanted, "{name} {}: {difference}", gradient.name);
            }
            let wanted = fixture.reference["grad_norm_total"].as_f64().unwrap();
            assert!((total.sqrt() - wanted).abs() < 1e-5 * wanted, "{name}: {} {wanted}", total.sqrt());
        }
    }
}

#[test]
fn packing_changes_nothing() {
    for name in MODELS {
        let fixture = Fixture::load(name);
        let (segments, tokens, _) = fixture.packed();
        let threads = Threads::single();
        let together =
            model_hidden_states(&fixture.config, &fixture.weights, &segments, &tokens, &threads).unwrap();
        let mut apart = Vec::new();
        for sequence in &fixture.sequences {
            let segments = Segments::from_lengths([sequence.len()]);
            apart.extend(
                model_hidden_states(&fixture.config, &fixture.weights, &segments, sequence, &threads)
                    .unwrap(),
            );
        }
        assert!(largest_difference(&together, &apart) < 2e-5, "{name}");
    }
}

#[test]
fn the_same_number_of_threads_gives_the_same_bits() {
    let fixture = Fixture::load("qwen3");
    let (segments, tokens, targets) = fixture.packed();
    let run = || {
        let batch = (&segments, &tokens[..], &targets[..]);
        let keep = ActivationMode::Keep;
        loss_and_gradients(&fixture.config, &fixture.weights, batch, keep, &Threads::new(2))
    };
    assert_eq!(run(), run());
}

#[test]
fn sequences_longer_than_a_block_agree_with_finite_differences() {
    let fixture = Fixture::load("qwen3");
    let (config, threads) = (&fixture.config, Threads::single());
    let segments = Segments::from_lengths([150, 70]);
    let tokens: Vec<u32> = (0..220).map(|index| index * 37 % 512).collect();
    let targets: Vec<_> = (0..220).map(|index| (index % 3 != 0).then_some(index * 11 % 512)).collect();
    let loss = |weights: &_| model_loss(config, weights, &segments, &tokens, &targets, &threads).unwrap();
    let keep = ActivationMode::Keep;
    let batch = (&segments, &tokens[..], &targets[..]);
    let (value, gradients) = loss_and_gradients(config, &fixture.weights, batch, keep, &threads);
    assert!((value - loss(&fixture.weights)).abs() < 1e-5);
    let parameters = config.named_parameters();
    for (parameter, gradient) in parameters.iter().zip(gradients.into_named(config)) {
        let size = norm(&gradient.values);
        let step = 2e-3 / size;
        let moved = |direction: f64| {
            let mut weights = fixture.weights.clone();
            let mut values = weights.read(parameter);
            for (value, gradient) in values.iter_mut().zip(&gradient.values) {
                *value += (direction * step * f64::from(*gradient) / size) as f32;
            }
            weights.write(parameter, &values);
            f64::from(loss(&weights))
        };
        let slope = (moved(1.0) - moved(-1.0)) / (2.0 * step);
        assert!((slope - size).abs() < 2e-2 * size, "{}: {slope} {size}", parameter.name);
    }
}

#[test]
fn both_ways_to_the_gradient_of_the_head_agree() {
    let fixture = Fixture::load("llama");
    let (segments, tokens, _) = fixture.packed();
    let threads = Threads::new(2);
    let hidden =
        model_hidden_states(&fixture.config, &fixture.weights, &segments, &tokens, &threads).unwrap();
    let head = fixture.weights.head().as_f32().unwrap();
    let width = fixture.config.hidden_size;
    let targets: Vec<u32> = tokens.iter().map(|token| (token + 1) % 512).collect();
    let weights: Vec<f32> = (0..targets.len()).map(|index| [0.0, -0.5, 0.25][index % 3]).collect();
    let forward = token_log_probabilities(&hidden, head, width, &targets, &threads);
    for trains_head in [true, false] {
        let (grad_hidden, grad_head) = token_log_probabilities_backward(
            &hidden,
            head,
            width,
            &targets,
            &forward.log_normalizers,
            &weights,
            trains_head,
            &threads,
        );
        let once = weighted_log_likelihood(&hidden, head, width, &targets, &weights, trains_head, &threads);
        assert_eq!(once.log_probabilities, forward.values);
        assert_eq!(once.grad_hidden, grad_hidden);
        assert_eq!(once.grad_head, grad_head);
        assert_eq!(grad_head.is_empty(), !trains_head);
    }
}

#[test]
fn kept_activations_are_linear_in_length_and_recomputation_keeps_none() {
    let fixture = Fixture::load("qwen2");
    let (config, threads) = (&fixture.config, Threads::single());
    let rope = RopeTable::new(config, 800);
    let kept = |length: usize, mode| {
        let segments = Segments::from_lengths([length]);
        let pass = LayerPass { config, rope: &rope, segments: &segments, threads: &threads };
        let x = vec![0.5; length * config.hidden_size];
        layer_forward(pass, fixture.weights.layers[0].view().unwrap(), &x, mode).1
    };
    let bytes = |length| kept(length, ActivationMode::Keep).unwrap().memory_bytes();
    assert_eq!(bytes(800), 2 * bytes(400));
    assert_eq!(bytes(400), 4 * bytes(100));
    assert!(kept(100, ActivationMode::Recompute).is_none());
}
