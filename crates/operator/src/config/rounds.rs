//! What must hold between sections where rounds are run by a configuration: a one-shot job obeys a few of them alone.

use still_domain::Algorithm;

use super::{ConfigError, ConfigLayers, KeyProblem, LoadedConfig, Origin};

/// What pairs obeyed before they had a section of their own.
const BEFORE: &str = "training.improvement";
/// That section.
const NOW: &str = "training.preference";

impl ConfigLayers {
    /// Merges the layers and checks the result as that of a run.
    ///
    /// # Errors
    /// Those of [`load`](Self::load), and what is at odds between sections.
    pub fn load_run(self) -> Result<LoadedConfig, ConfigError> {
        let loaded = self.load()?;
        if loaded.config.round.algorithm == Algorithm::Dpo {
            loaded.require_settings_of_pairs()?;
        }
        loaded.require_room_for_answers()?;
        Ok(loaded)
    }
}

impl LoadedConfig {
    /// Refuses a configuration to train on pairs by that was written for a program whose pairs obeyed
    /// `[training.improvement]`: their rate would be another.
    ///
    /// # Errors
    /// Where that section is set and `[training.preference]` is not.
    pub fn require_settings_of_pairs(&self) -> Result<(), ConfigError> {
        if self.first_set_in(NOW).is_some() {
            return Ok(());
        }
        let Some((key, origin)) = self.first_set_in(BEFORE) else { return Ok(()) };
        let moved = key.replacen(BEFORE, NOW, 1);
        let reason = format!(
            "does not hold for pairs, which obey `[{NOW}]`: set `{moved}` and what else is meant for them there (by \
             default one pass at a peak of 5e-7)"
        );
        Err(ConfigError::Keys(vec![KeyProblem { key: key.to_owned(), origin: origin.clone(), reason }]))
    }

    /// Refuses answers that are drawn and let pass, and can never be trained on.
    fn require_room_for_answers(&self) -> Result<(), ConfigError> {
        let (section, learner) = self.config.round_learner();
        let drawn = self.config.exploration.sampling.max_new_tokens;
        let passed = self.config.hygiene.max_response_tokens;
        let (longest, limit) = (drawn.min(passed), learner.max_sequence_tokens);
        if limit == 0 || longest < limit {
            return Ok(());
        }
        let key = format!("{section}.max_sequence_tokens");
        let reason = format!(
            "{limit} tokens, prompt included, are fewer than answers may have: {drawn} are drawn at most \
             (`exploration.sampling.max_new_tokens`), {passed} let pass (`hygiene.max_response_tokens`), and no right \
             answer of {limit} tokens or more would ever be trained on. Give {longest} and room for the longest prompt, \
             or set one of the others to what can be trained on"
        );
        Err(ConfigError::Keys(vec![KeyProblem { origin: self.origin(&key), key, reason }]))
    }

    /// The first key of a section that some layer sets.
    fn first_set_in(&self, section: &str) -> Option<(&str, &Origin)> {
        let inside = format!("{section}.");
        let (key, origin) = self.origins.range(inside.clone()..).next()?;
        key.starts_with(&inside).then_some((key.as_str(), origin))
    }
}
