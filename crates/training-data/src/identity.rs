//! What makes a job this job and no other, as records of named fields: names that are made of them outlive the program,
//! so that none of them may ever change.

use still_domain::fingerprint::NamedFields;
use still_recipe::{
    DpoSettings, DpoSpan, LearnerSettings, LoraSettings, OptimizerName, Precision, PreferenceLoss, Schedule,
};

use crate::examples::Examples;

/// How a job trains.
pub fn settings(config: &LearnerSettings) -> NamedFields {
    let LearnerSettings {
        steps,
        epochs,
        batch_sequences,
        batch_tokens,
        max_sequence_tokens,
        peak_learning_rate,
        warm_up_fraction,
        final_fraction,
        schedule,
        optimizer,
        betas: [first_beta, second_beta],
        epsilon,
        weight_decay,
        decay_embeddings,
        clip_norm,
    } = config;
    let fields = NamedFields::new("job settings 1")
        .number("steps", *steps)
        .real("epochs", *epochs)
        .number("batch_sequences", u64::from(*batch_sequences))
        .number("batch_tokens", u64::from(*batch_tokens))
        .number("max_sequence_tokens", u64::from(*max_sequence_tokens))
        .real("peak", *peak_learning_rate)
        .real("warm_up_fraction", *warm_up_fraction)
        .real("final_fraction", *final_fraction)
        .text("decay", decay_name(*schedule))
        .real("first_beta", *first_beta)
        .real("second_beta", *second_beta)
        .real("epsilon", *epsilon)
        .real("weight_decay", *weight_decay)
        .number("decay_embeddings", u64::from(*decay_embeddings))
        .real("clip_norm", *clip_norm);
    // it came later, and before there was no other
    match optimizer {
        OptimizerName::AdamW => fields,
        OptimizerName::Muon => fields.text("optimizer", "muon"),
    }
}

/// How preferences are optimised.
pub fn preferences(dpo: &DpoSettings) -> NamedFields {
    // bounds end a job, and change none of its steps
    let DpoSettings { loss, beta, span, sft_coefficient, max_margin: _, max_chosen_drop: _ } = dpo;
    let span = match span {
        DpoSpan::Thought => "thought",
        DpoSpan::Full => "full",
    };
    let fields = NamedFields::new("dpo settings 1")
        .real("beta", *beta)
        .text("span", span)
        .real("sft_coefficient", *sft_coefficient);
    // it came later, and before there was no other
    if *loss == PreferenceLoss::Sigmoid { fields } else { fields.text("loss", loss.name()) }
}

/// Which adapters are trained.
pub fn adapters(lora: &LoraSettings) -> NamedFields {
    let LoraSettings { rank, alpha, targets } = lora;
    NamedFields::new("lora settings 1").number("rank", u64::from(*rank)).real("alpha", *alpha).list(
        "targets",
        targets.iter(),
        |fields, name| fields.text("target", name),
    )
}

const fn decay_name(schedule: Schedule) -> &'static str {
    match schedule {
        Schedule::Cosine => "cosine",
        Schedule::Linear => "linear",
        Schedule::Constant => "constant",
    }
}

/// A number format by name.
pub const fn precision_name(precision: Precision) -> &'static str {
    match precision {
        Precision::F32 => "f32",
        Precision::Bf16 => "bf16",
    }
}

/// Every sequence as bytes: where its target begins and ends and how many tokens it has, then these. Little-endian.
pub fn visit_sequences(examples: &Examples, mut visit: impl FnMut(&[u8])) {
    for sequence in examples.sequences() {
        for number in [sequence.target.start, sequence.target.end, sequence.tokens.len()] {
            visit(&(number as u64).to_le_bytes());
        }
        for token in &sequence.tokens {
            visit(&token.to_le_bytes());
        }
    }
}
