//! The verifier as the configuration wants it, and what it must be able to judge.

use still_control::{Exit, Failure, OrExit};
use still_domain::Problem;
use still_judge::{StandardVerifier, Unjudgeable};
use still_operator::config::{VerifierProfile, VerifierSection};
use still_verify::Profile;

/// The verifier that a configuration describes.
pub fn verifier(section: &VerifierSection) -> StandardVerifier {
    let profile = match section.profile {
        VerifierProfile::Strict => Profile::Strict,
        VerifierProfile::Lenient => Profile::Lenient,
    };
    StandardVerifier::new(profile, section.code.clone())
}

/// Refuses problems that ask for a program where none can be confined, or whose tests or gold answer cannot
/// be used.
pub fn refuse_unjudgeable<'problem>(
    verifier: &StandardVerifier,
    problems: impl IntoIterator<Item = &'problem Problem>,
) -> Result<(), Failure> {
    verifier.check(problems).map_err(|error| {
        let exit = match error {
            Unjudgeable::Gold { .. } => Exit::BadInput,
            Unjudgeable::Unready { .. } | Unjudgeable::Tests { .. } => Exit::Configuration,
        };
        Failure::new(exit, error)
    })
}

/// Refuses a store with problems that ask for a program where none can be confined, or whose tests cannot be
/// run. One whose gold answer cannot be used is reported: it was stored by a program that did not look, its
/// attempts end as errors, and the others are no worse for it.
pub fn refuse_unjudgeable_store(verifier: &StandardVerifier, stored: &[Problem]) -> Result<(), Failure> {
    stored.iter().try_for_each(|problem| match verifier.check([problem]) {
        Err(error @ Unjudgeable::Gold { .. }) => {
            tracing::warn!(%error, "a stored problem cannot be judged");
            Ok(())
        }
        checked => checked.or_exit(Exit::Configuration),
    })
}
