"""Trains a job of `stilld` with TRL: SFT, and DPO whose loss covers the tokens that the job names (the thoughts).

One process:      python trainers/trl_trainer.py
Several GPUs:     accelerate launch --config_file trainers/accelerate-fsdp.yaml trainers/trl_trainer.py
                  accelerate launch --config_file trainers/accelerate-zero3.yaml trainers/trl_trainer.py

Every optimizer step takes the very examples that the job gives it, at its learning rate: so the numbers are those of
the embedded learner, step by step. A step is cut into parts, the same number for every step, each as many rows as go
through a device at once; what is missing from the last parts is filled with rows that no loss covers.
"""

import math
import os

import still_job
from still_job import Job, refuse

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers_job import AsTheJobSays, Collator, Parts, Voice, all_steps_taken, resumed, settings
from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer


class JobSFTTrainer(AsTheJobSays, SFTTrainer):
    pass


class JobDPOTrainer(AsTheJobSays, DPOTrainer):
    """DPO over the tokens that the job names, averaged over the pairs of a step, with what became of them."""

    def __init__(self, *arguments, **named):
        super().__init__(*arguments, **named)
        self.sums = []
        self.totals = torch.zeros(7)
        # the policy is asked first and the reference after it, whether that is a model of its own or not
        for model in [self.model, self.ref_model]:
            if model is not None:
                model.register_forward_hook(self._heard)

    def _heard(self, _module, _arguments, output):
        found = getattr(output, "log_probs", None)
        if found is not None:
            self.sums.append(found.detach().float().sum(dim=1))

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        real, rows, step_examples = inputs.pop("part").tolist()
        counts = inputs["completion_mask"][:, 1:].sum(dim=1)
        self.sums.clear()
        loss = super().compute_loss(model, inputs, return_outputs=False)
        # a row that no loss covers has the same likelihood under both: it adds log 2 and no gradient
        loss = loss * rows - (rows - real) * math.log(2.0)
        self._count(real, counts)
        parts = self.accelerator.num_processes * self.args.gradient_accumulation_steps
        return loss * parts / step_examples

    def _count(self, real, counts):
        policy, reference = self.sums[:2]
        gains = (policy - reference).chunk(2)
        sums, counts = policy.chunk(2), counts.clamp(min=1).chunk(2)
        margins = self.beta * (gains[0] - gains[1])[:real]
        ratios = [(-gain / count)[:real] for gain, count in zip(gains, counts)]
        kl = sum((ratio.exp() - 1.0 - ratio).sum() for ratio in ratios) / 2.0
        drift = (gains[0] / counts[0])[:real].sum()
        found = [margins.sum(), (margins > 0.0).sum(), sums[0][:real].sum(), sums[1][:real].sum(), drift, kl, real]
        self.totals += torch.tensor([float(one) for one in found])

    def log(self, logs, start_time=None):
        if "loss" in logs:
            totals = self.accelerator.reduce(self.totals.to(self.accelerator.device), reduction="sum").cpu()
            means = (totals / totals[-1].clamp(min=1.0)).tolist()
            names = ["margin", "accuracy", "chosen_log_probability", "rejected_log_probability", "chosen_drift", "kl"]
            self.preferences = dict(zip(names, means))
            self.totals.zero_()
        super().log(logs, start_time)


def settings_of_trl(job, parts):
    """The job's settings as both of TRL's configurations take them."""
    named = settings(job, parts)
    # accelerate shards nothing where it is told of a processor; where it is not, DeepSpeed shards there as well
    if named["use_cpu"] and os.environ.get("ACCELERATE_USE_DEEPSPEED", "false").lower() == "true":
        named |= dict(use_cpu=False, ddp_backend="gloo")
    return named | dict(gradient_checkpointing=job["recompute_activations"], max_length=None, disable_dropout=True)


def adapters(job):
    """Adapters to train instead of all parameters, where the job asks for them."""
    lora = job.get("lora")
    if lora is None:
        return None
    from peft import LoraConfig

    return LoraConfig(
        r=lora["rank"],
        lora_alpha=lora["alpha"],
        target_modules=lora["targets"],
        lora_dropout=0.0,
        bias="none",
        task_type="CAUSAL_LM",
    )


def build(job, parts, voice):
    # masters are f32, as those of the embedded learner are; what is computed in bf16 is cast on the way
    model = AutoModelForCausalLM.from_pretrained(job["base"], dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(job["base"])
    shared = dict(
        model=model,
        train_dataset=Dataset.from_dict({"part": list(range(len(parts)))}),
        processing_class=tokenizer,
        data_collator=Collator(job, parts),
        callbacks=[voice],
        peft_config=adapters(job),
    )
    named = settings_of_trl(job, parts)
    if job["objective"] == "sft":
        del named["disable_dropout"]
        trainer = JobSFTTrainer(args=SFTConfig(**named, average_tokens_across_devices=True), **shared)
    else:
        trainer = JobDPOTrainer(args=DPOConfig(**named, beta=job["dpo"]["beta"]), **shared)
    trainer.job, trainer.parts, voice.trainer = job, parts, trainer
    return trainer


def main():
    still_job.end_with_parent()
    job = Job()
    if job["objective"] == "dpo" and job["dpo"]["sft_coefficient"] > 0.0:
        refuse("TRL's likelihood term is a mean over other tokens: set `training.dpo.sft_coefficient = 0`")
    if job["objective"] == "dpo" and job["dpo"]["loss"] != "sigmoid":
        refuse("this trainer knows DPO's own loss alone: set `training.dpo.loss = \"sigmoid\"`")
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    parts = Parts(job, processes)
    voice = Voice(job, parts)
    trainer = build(job, parts, voice)
    if job.resumed_step() < len(parts.steps):
        with resumed(job, voice):
            trainer.train(resume_from_checkpoint=job.resume)
        aside = job.folder / "output.part"
        if trainer.is_world_process_zero():
            aside = job.new_output()
        trainer.accelerator.wait_for_everyone()
        trainer.save_model(str(aside))
        trainer.accelerator.wait_for_everyone()
    elif trainer.is_world_process_zero():
        aside = all_steps_taken(job)
    if trainer.is_world_process_zero():
        job.done(aside)


if __name__ == "__main__":
    main()
