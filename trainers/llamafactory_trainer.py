"""Trains a job of `stilld` with LLaMA-Factory: SFT, of all parameters or of adapters.

One process:      python trainers/llamafactory_trainer.py
Several GPUs:     torchrun --nproc_per_node 8 trainers/llamafactory_trainer.py

Tokens, the examples of every step and its learning rate are the job's, so that no template of LLaMA-Factory's is asked: its
data set is the parts of the steps, and what it brings is its way of loading, adapting, training and saving models.
"""

import os

import still_job
from still_job import Job, refuse

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

from datasets import Dataset
from llamafactory.train.sft import workflow
from llamafactory.train.tuner import run_exp
from transformers_job import AsTheJobSays, Collator, Parts, Voice, all_steps_taken, resumed, settings


def settings_of_factory(job, parts, tokenized):
    """The job's settings in LLaMA-Factory's words."""
    lora = job.get("lora")
    adapters = {}
    if lora is not None:
        adapters = dict(
            lora_rank=lora["rank"],
            lora_alpha=lora["alpha"],
            lora_target=",".join(lora["targets"]),
            lora_dropout=0.0,
        )
    return settings(job, parts) | dict(
        stage="sft",
        do_train=True,
        model_name_or_path=job["base"],
        finetuning_type="full" if lora is None else "lora",
        **adapters,
        # the parts of the steps, which need no template
        dataset="job",
        tokenized_path=str(tokenized),
        template="empty",
        disable_shuffling=True,
        disable_gradient_checkpointing=not job["recompute_activations"],
        resume_from_checkpoint=job.resume,
    )


def trainer_of(job, parts, voice):
    """LLaMA-Factory's trainer, which takes the job's parts and writes the trained model where the job wants it."""

    class JobTrainer(AsTheJobSays, workflow.CustomSeq2SeqTrainer):
        def __init__(self, *arguments, **named):
            named["data_collator"] = Collator(job, parts)
            super().__init__(*arguments, **named)
            self.job, self.parts, voice.trainer = job, parts, self

        def save_model(self, output_dir=None, _internal_call=False):
            if output_dir is None:
                if self.is_world_process_zero():
                    job.new_output()
                self.accelerator.wait_for_everyone()
                output_dir = str(job.folder / "output.part")
            super().save_model(output_dir, _internal_call)

    return JobTrainer


def main():
    still_job.end_with_parent()
    job = Job()
    if job["objective"] != "sft":
        refuse("this recipe of LLaMA-Factory imitates: train pairs by trainers/trl_trainer.py")
    rank = int(os.environ.get("RANK", "0"))
    is_first = rank == 0
    parts = Parts(job, int(os.environ.get("WORLD_SIZE", "1")))
    if job.resumed_step() >= len(parts.steps):
        if is_first:
            job.done(all_steps_taken(job))
        return
    voice = Voice(job, parts)
    # each process has a folder of its own, for nobody waits for another yet
    tokenized = job.folder / f"parts-{rank}"
    Dataset.from_dict({"part": list(range(len(parts)))}).save_to_disk(str(tokenized))
    workflow.CustomSeq2SeqTrainer = trainer_of(job, parts, voice)
    with resumed(job, voice):
        run_exp(settings_of_factory(job, parts, tokenized), callbacks=[voice])
    if is_first:
        job.done(job.folder / "output.part")


if __name__ == "__main__":
    main()
