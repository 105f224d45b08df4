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
    fn require_settings_of_pairs(&self) -> Result<(), ConfigError> {
        self.refuse_settings_of_before(|_| true)
    }

    /// The same for a one-shot job, where what is set on the command line is meant for it.
    ///
    /// # Errors
    /// Where a file or the environment sets that section, and nothing `[training.preference]`.
    pub fn require_settings_of_pairs_in_files(&self) -> Result<(), ConfigError> {
        self.refuse_settings_of_before(|origin| !matches!(origin, Origin::CommandLine(_)))
    }

    fn refuse_settings_of_before(&self, is_refused: impl Fn(&Origin) -> bool) -> Result<(), ConfigError> {
        if self.set_in(NOW).next().is_some() {
            return Ok(());
        }
        let Some((key, origin)) = self.set_in(BEFORE).find(|(_, origin)| is_refused(origin)) else {
            return Ok(());
        };
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

    /// The keys of a section that some layer sets.
    fn set_in(&self, section: &str) -> impl Iterator<Item = (&str, &Origin)> {
        let inside = format!("{section}.");
        let from = self.origins.range(inside.clone()..);
        from.take_while(move |(key, _)| key.starts_with(&inside)).map(|(key, origin)| (key.as_str(), origin))
    }
}
