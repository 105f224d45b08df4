use proptest::prelude::*;

use super::*;

fn settings() -> SamplingSettings {
    SamplingSettings::default()
}

/// Log-softmax in double precision.
fn log_softmax(logits: &[f64]) -> Vec<f64> {
    let maximum = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = logits.iter().map(|x| (x - maximum).exp()).sum();
    logits.iter().map(|x| x - maximum - sum.ln()).collect()
}

/// The distribution that the settings describe, by the book: sort everything, in double precision.
fn reference(logits: &[f32], settings: &SamplingSettings, seen: &[u32]) -> Vec<f64> {
    let penalty = f64::from(settings.repetition_penalty);
    let mut scaled: Vec<f64> = logits.iter().map(|&x| f64::from(x)).collect();
    for &id in seen {
        let x = &mut scaled[id as usize];
        *x = if *x > 0.0 { *x / penalty } else { *x * penalty };
    }
    for x in &mut scaled {
        *x /= f64::from(settings.temperature);
    }
    let mut probabilities: Vec<f64> = log_softmax(&scaled).into_iter().map(f64::exp).collect();
    let mut order: Vec<usize> = (0..logits.len()).collect();
    order.sort_by(|&a, &b| probabilities[b].total_cmp(&probabilities[a]).then(a.cmp(&b)));
    if settings.top_k > 0 {
        for &dropped in order.iter().skip(settings.top_k as usize) {
            probabilities[dropped] = 0.0;
        }
    }
    let total: f64 = probabilities.iter().sum();
    let (mut sum, mut is_full) = (0.0, false);
    for &token in &order {
        if settings.top_p < 1.0 && is_full {
            probabilities[token] = 0.0;
        }
        sum += probabilities[token];
        is_full |= sum >= f64::from(settings.top_p) * total;
    }
    let floor = f64::from(settings.min_p) * probabilities[order[0]];
    for probability in &mut probabilities {
        if *probability < floor {
            *probability = 0.0;
        }
    }
    let total: f64 = probabilities.iter().sum();
    probabilities.iter().map(|probability| probability / total).collect()
}

fn logits(length: usize) -> Vec<f32> {
    (0..length).map(|i| ((i * 7919) % 1013) as f32 / 130.0 - (i % 7) as f32).collect()
}

/// Draws `count` tokens and compares their frequencies with the reference by chi-square, and every
/// sampling log-probability with it directly.
fn check_distribution(row: &[f32], settings: &SamplingSettings, seen: &[u32], count: u64) {
    let expected = reference(row, settings, seen);
    let unmodified = log_softmax(&row.iter().map(|&x| f64::from(x)).collect::<Vec<_>>());
    let seen = SeenTokens::new(row.len(), seen);
    let mut sampler = Sampler::new();
    let mut counts = vec![0_u64; row.len()];
    for index in 0..count {
        let draw = sampler.draw(&mut row.to_vec(), settings, Some(&seen), 17, index).unwrap();
        let token = draw.token as usize;
        counts[token] += 1;
        assert!(expected[token] > 0.0, "{settings:?} drew {token}, which it rules out");
        assert!((f64::from(draw.sampling_log_probability) - expected[token].ln()).abs() < 1e-5);
        assert!((f64::from(draw.log_probability) - unmodified[token]).abs() < 1e-5);
    }
    // tokens that are hardly ever drawn share one bin
    let (mut statistic, mut bins, mut rare) = (0.0, 0.0, (0.0, 0.0));
    for (&seen, &probability) in counts.iter().zip(&expected) {
        let wanted = probability * count as f64;
        if wanted >= 8.0 {
            statistic += (seen as f64 - wanted).powi(2) / wanted;
            bins += 1.0;
        } else {
            rare = (rare.0 + seen as f64, rare.1 + wanted);
        }
    }
    if rare.1 > 1.0 {
        statistic += (rare.0 - rare.1).powi(2) / rare.1;
        bins += 1.0;
    }
    // five standard deviations above the mean of the chi-square distribution
    assert!(
        statistic < bins + 5.0 * (2.0_f64 * bins).sqrt() + 5.0,
        "{settings:?}: {statistic} over {bins} bins"
    );
}

#[test]
fn frequencies_and_log_probabilities_follow_the_distribution() {
    let row = logits(26);
    let wide = logits(700);
    let cases = [
        settings(),
        SamplingSettings { temperature: 0.6, ..settings() },
        SamplingSettings { temperature: 1.7, top_k: 5, ..settings() },
        SamplingSettings { top_p: 0.8, ..settings() },
        SamplingSettings { top_k: 12, top_p: 0.7, temperature: 2.0, ..settings() },
        SamplingSettings { min_p: 0.1, ..settings() },
        SamplingSettings { min_p: 0.05, top_k: 9, top_p: 0.95, temperature: 1.5, ..settings() },
        SamplingSettings { repetition_penalty: 1.8, ..settings() },
        SamplingSettings { repetition_penalty: 1.3, temperature: 0.8, top_p: 0.9, ..settings() },
    ];
    for case in cases {
        check_distribution(&row, &case, &[0, 3, 7, 20, 25], 20_000);
        check_distribution(&wide, &case, &[1, 500, 699], 20_000);
    }
}

#[test]
fn a_flat_nucleus_wider_than_the_first_sort_is_complete() {
    let row = vec![0.25_f32; 1000];
    let settings = SamplingSettings { top_p: 0.5, ..settings() };
    let mut sampler = Sampler::new();
    let mut drawn = vec![false; 1000];
    for index in 0..20_000 {
        let draw = sampler.draw(&mut row.clone(), &settings, None, 3, index).unwrap();
        drawn[draw.token as usize] = true;
        assert!((f64::from(draw.sampling_log_probability) - (1.0_f64 / 500.0).ln()).abs() < 1e-4);
    }
    assert!(drawn[..500].iter().all(|&seen| seen) && !drawn[500..].contains(&true));
}

#[test]
fn greedy_takes_the_first_of_the_best_and_still_tells_its_probability() {
    let row = [0.0, 3.0, 1.0, 3.0];
    let settings = SamplingSettings { temperature: 0.0, ..settings() };
    let draw = Sampler::new().draw(&mut row.clone(), &settings, None, 1, 0).unwrap();
    let expected = log_softmax(&row.map(f64::from))[1];
    assert_eq!((draw.token, draw.sampling_log_probability), (1, 0.0));
    assert!((f64::from(draw.log_probability) - expected).abs() < 1e-6);
    let penalised = SamplingSettings { repetition_penalty: 4.0, ..settings };
    let seen = SeenTokens::new(4, &[1, 3]);
    let draw = Sampler::new().draw(&mut row.clone(), &penalised, Some(&seen), 1, 0).unwrap();
    assert_eq!(draw.token, 2, "3 / 4 is less than 1");
}

#[test]
fn a_temperature_near_zero_takes_the_best_as_zero_does() {
    for temperature in [1e-45, 1e-40, f32::MIN_POSITIVE, 1e-30, 1e-6] {
        for top_p in [1.0, 0.9] {
            let settings = SamplingSettings { temperature, top_p, ..settings() };
            let draw = Sampler::new().draw(&mut [0.0, 1.0, 3.0, -2.0], &settings, None, 1, 0).unwrap();
            assert_eq!(draw.token, 2, "{temperature}");
            assert!(draw.log_probability.is_finite() && draw.sampling_log_probability.abs() < 1e-6);
        }
    }
}

#[test]
fn a_broken_row_is_an_error() {
    for row in [vec![], vec![f32::NAN, 1.0], vec![f32::INFINITY, 1.0], vec![f32::NEG_INFINITY; 3]] {
        let drawn = Sampler::new().draw(&mut row.clone(), &settings(), None, 1, 0);
        assert_eq!(drawn, Err(SamplingError::NotFinite), "{row:?}");
    }
    // so is one that a penalty breaks
    for temperature in [0.0, 1.0] {
        let settings = SamplingSettings { temperature, repetition_penalty: 1e-38, ..settings() };
        let seen = SeenTokens::new(2, &[1]);
        let drawn = Sampler::new().draw(&mut [1.0, 20.0], &settings, Some(&seen), 1, 0);
        assert_eq!(drawn, Err(SamplingError::NotFinite), "{temperature}");
    }
}

#[test]
fn masked_tokens_are_never_drawn() {
    let mut row = vec![f32::NEG_INFINITY; 600];
    row[311] = -4.0;
    for index in 0..200 {
        let draw = Sampler::new().draw(&mut row.clone(), &settings(), None, 9, index).unwrap();
        assert_eq!((draw.token, draw.log_probability), (311, 0.0));
    }
}

#[test]
fn settings_out_of_range_are_named() {
    assert_eq!(validate(&settings()), Ok(()));
    let cases = [
        (SamplingSettings { temperature: -1.0, ..settings() }, "temperature"),
        (SamplingSettings { temperature: f32::NAN, ..settings() }, "temperature"),
        (SamplingSettings { top_p: 0.0, ..settings() }, "top_p"),
        (SamplingSettings { min_p: 1.5, ..settings() }, "min_p"),
        (SamplingSettings { repetition_penalty: 0.0, ..settings() }, "repetition_penalty"),
    ];
    for (case, name) in cases {
        assert!(validate(&case).unwrap_err().to_string().starts_with(name));
    }
}

proptest! {
    #[test]
    fn what_is_drawn_is_always_allowed_and_never_depends_on_earlier_rows(
        row in proptest::collection::vec(-8.0_f32..8.0, 1..400),
        top_k in 0_u32..40, top_p in 0.05_f32..1.0, min_p in 0.0_f32..0.4, temperature in 0.2_f32..3.0,
        seed: u64, index in 0_u64..1000,
    ) {
        let settings = SamplingSettings { temperature, top_k, top_p, min_p, ..settings() };
        let mut used = Sampler::new();
        used.draw(&mut logits(333), &settings, None, seed, 0).unwrap();
        let draw = used.draw(&mut row.clone(), &settings, None, seed, index).unwrap();
        prop_assert_eq!(Ok(draw), Sampler::new().draw(&mut row.clone(), &settings, None, seed, index));
        // a token on the very edge of the nucleus may fall on either side by rounding
        let wider = SamplingSettings { top_p: (top_p * 1.0001).min(1.0), min_p: min_p * 0.9999, ..settings };
        prop_assert!(reference(&row, &wider, &[])[draw.token as usize] > 0.0);
    }
}
