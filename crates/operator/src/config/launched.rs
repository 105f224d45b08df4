//! Which GPUs servers that the daemon starts, a trainer and this process have, side by side or in turns.

use std::collections::BTreeSet;

use still_engines::Placement;
use still_recipe::TrainingEngine;
use still_settings::Findings;

use super::{Config, Device};

/// Names the GPUs that a program sees.
const DEVICES_VARIABLE: &str = "CUDA_VISIBLE_DEVICES";

impl Config {
    /// The GPUs that the trainer's environment names, where a command trains; `None` where it names none by number.
    pub fn trainer_devices(&self) -> Option<BTreeSet<usize>> {
        let command = &self.training.command;
        let named = command.environment.get(DEVICES_VARIABLE);
        let named = named.filter(|_| self.training.engine == TrainingEngine::Command)?;
        named.split(',').map(|number| number.trim().parse().ok()).collect()
    }

    /// GPUs of servers that the daemon starts, of one way to share them.
    pub fn launched_devices(&self, placement: Placement) -> BTreeSet<usize> {
        let sections = self.engines.iter().filter(|section| section.launch && section.placement == placement);
        sections.flat_map(|section| section.devices.iter().map(|number| *number as usize)).collect()
    }

    /// GPUs that this process computes on.
    fn own_devices(&self) -> BTreeSet<usize> {
        let section = &self.device;
        let learners = section.learners.iter().filter(|_| self.training.engine == TrainingEngine::Embedded);
        let generators = section.samplers.iter().chain([&section.evaluator]);
        let generators = generators.filter(|_| !still_engines::is_remote(&self.engines));
        let number = |device: &Device| match device {
            Device::Cpu => None,
            Device::Cuda(number) => Some(*number),
        };
        learners.chain(generators).filter_map(number).collect()
    }

    /// Devices that are paid for.
    pub fn paid_devices(&self) -> u32 {
        if self.price.devices > 0 {
            return self.price.devices;
        }
        let launched = [Placement::Split, Placement::Turns].map(|placement| self.launched_devices(placement));
        let mut all = self.own_devices();
        all.extend(launched.into_iter().flatten());
        all.extend(self.trainer_devices().into_iter().flatten());
        all.len() as u32
    }

    /// Notes GPUs that two would use at once, and turns that nobody takes.
    pub(super) fn validate_launched(&self, findings: &mut Findings) {
        let split = self.launched_devices(Placement::Split);
        let trainer = self.trainer_devices().unwrap_or_default();
        let listed =
            |common: Vec<&usize>| common.into_iter().map(usize::to_string).collect::<Vec<_>>().join(", ");
        let common: Vec<_> = split.intersection(&trainer).collect();
        findings.require(common.is_empty(), "engines", || {
            format!(
                "GPUs {} are the servers' (`devices`) and the trainer's ({DEVICES_VARIABLE} of `training.command.environment`): \
                 give each its own, or have them share with `placement = \"turns\"`",
                listed(common)
            )
        });
        let turns = self.launched_devices(Placement::Turns);
        let own = self.own_devices();
        let common: Vec<_> =
            own.iter().filter(|number| split.contains(number) || turns.contains(number)).collect();
        findings.require(common.is_empty(), "engines", || {
            format!(
                "GPUs {} are the servers' (`devices`) and this process's (`device.learners`): give each its own, or have a \
                 command train in turns with the servers (`training.engine`, `placement`)",
                listed(common)
            )
        });
        for (index, section) in self.engines.iter().enumerate() {
            let takes_turns = section.launch && section.placement == Placement::Turns;
            let is_by_command = self.training.engine == TrainingEngine::Command;
            findings.require(!takes_turns || is_by_command, &format!("engines[{index}].placement"), || {
                "\"turns\" are taken with a trainer of its own: set `training.engine = \"command\"`, or write \"split\"".to_owned()
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::ConfigLayers;

    const SERVERS: &str = "[[engines]]\nkind = \"vllm\"\nlaunch = true\ndevices = [0, 1]\n";

    fn found(text: &str) -> String {
        let text = format!("{text}[model]\nsource = \"/models/m\"\n");
        ConfigLayers::new().text("t", &text).load().map_or_else(|error| error.to_string(), |_| String::new())
    }

    #[test]
    fn every_gpu_has_one_owner_at_a_time() {
        let trainer = |devices: &str| {
            format!(
                "[training]\nengine = \"command\"\n[training.command]\nprogram = \"sh\"\n\
                 environment = {{CUDA_VISIBLE_DEVICES = \"{devices}\"}}\n"
            )
        };
        let turns = format!("{SERVERS}placement = \"turns\"\n");
        assert_eq!(found(&format!("{SERVERS}{}", trainer("2,3"))), "");
        assert_eq!(found(&format!("{turns}{}", trainer("0,1"))), "");
        let common = found(&format!("{SERVERS}{}", trainer("1, 2")));
        assert!(common.contains("GPUs 1 are the servers'"), "{common}");
        let own = found(&format!("{SERVERS}[device]\nlearners = [\"cuda:1\"]\n"));
        assert!(own.contains("device.learners"), "{own}");
        assert!(found(&turns).contains("training.engine"), "{}", found(&turns));
        let twice = found(&format!("{SERVERS}{SERVERS}"));
        assert!(twice.contains("GPU 0 is given to two servers"), "{twice}");
    }

    #[test]
    fn what_is_paid_for_is_named_or_counted() {
        let paid = |text: &str| ConfigLayers::new().text("t", text).load().unwrap().config.paid_devices();
        assert_eq!(paid(""), 0);
        let servers =
            format!("{SERVERS}[model]\nsource = \"/models/m\"\n[device]\nlearners = [\"cuda:7\"]\n");
        assert_eq!(paid(&servers), 3);
        assert_eq!(paid(&format!("{servers}[price]\ndevices = 16\n")), 16);
    }
}
