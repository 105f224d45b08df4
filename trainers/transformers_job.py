"""What the trainers that come along do alike, on transformers' Trainer: the parts of optimizer steps, what the job says instead
of the trainer's own settings, and what is told to the daemon."""

import contextlib
import math
import pickle
import shutil
from pathlib import Path

import still_job
import torch
from still_job import Job, heartbeat, refuse, say, unfit
from torch.utils.data import SequentialSampler
from transformers import TrainerCallback

IGNORED = -100


class Parts:
    """The parts of all steps: of every step `accumulation` times `processes`, in the order in which they are taken."""

    def __init__(self, job, processes):
        self.examples = job.lines("examples")
        self.steps = job.lines("steps")
        self.is_sft = job["objective"] == "sft"
        self.processes = processes
        self.accumulation = self._accumulation(job["micro_batch_tokens"])

    def _accumulation(self, limit):
        """The fewest parts a step with which none holds more than `limit` tokens, or all hold one example."""
        most = max(len(step["examples"]) for step in self.steps)
        for accumulation in range(1, most + 1):
            if all(self._tokens(step, accumulation) <= limit for step in self.steps):
                return accumulation
        return math.ceil(most / self.processes)

    def _rows(self, step, accumulation):
        return math.ceil(len(step["examples"]) / (accumulation * self.processes))

    def _tokens(self, step, accumulation):
        longest = max(self._length(self.examples[place]) for place in step["examples"])
        return self._rows(step, accumulation) * longest * (1 if self.is_sft else 2)

    def _length(self, example):
        sides = ["response"] if self.is_sft else ["chosen", "rejected"]
        return len(example["prompt"]["tokens"]) + max(len(example[side]["tokens"]) for side in sides)

    def tokens_of(self, step):
        """Tokens of a step's sequences, prompts included."""
        sides = ["response"] if self.is_sft else ["chosen", "rejected"]
        rows = (self.examples[place] for place in self.steps[step]["examples"])
        return sum(len(row["prompt"]["tokens"]) + len(row[side]["tokens"]) for row in rows for side in sides)

    def __len__(self):
        return len(self.steps) * self.accumulation * self.processes

    def __getitem__(self, index):
        number, part = divmod(index, self.accumulation * self.processes)
        step = self.steps[number]
        rows = self._rows(step, self.accumulation)
        places = step["examples"][part * rows : (part + 1) * rows]
        filling = rows - len(places)
        return {
            "rows": [self.examples[place] for place in places] + [self.examples[step["examples"][0]]] * filling,
            "filling": filling,
            "step_examples": len(step["examples"]),
        }


def padded(rows, value):
    longest = max(len(row) for row in rows)
    return torch.tensor([row + [value] * (longest - len(row)) for row in rows])


def sequence(example, side, is_filling):
    """Tokens of a prompt with a response, and which of them the loss covers."""
    prompt, response = example["prompt"]["tokens"], example[side]
    first, last = response["loss"]
    covered = [first <= place < last and not is_filling for place in range(len(response["tokens"]))]
    return prompt + response["tokens"], [False] * len(prompt) + covered


class Collator:
    """Makes a part a batch. Preferences: all chosen rows, then all rejected ones, as TRL wants them."""

    def __init__(self, job, parts):
        self.padding, self.is_sft, self.parts = job["padding_token"], job["objective"] == "sft", parts

    def __call__(self, items):
        (item,) = items
        part = self.parts[item["part"]]
        real = len(part["rows"]) - part["filling"]
        sides = ["response"] if self.is_sft else ["chosen", "rejected"]
        rows = [
            sequence(row, side, place >= real) for side in sides for place, row in enumerate(part["rows"])
        ]
        tokens = padded([tokens for tokens, _ in rows], self.padding)
        attention = padded([[1] * len(tokens) for tokens, _ in rows], 0)
        covered = padded([[int(one) for one in mask] for _, mask in rows], 0)
        batch = {"input_ids": tokens, "attention_mask": attention}
        if self.is_sft:
            batch["labels"] = tokens.masked_fill(covered == 0, IGNORED)
            return batch
        batch["completion_mask"] = covered
        batch["part"] = torch.tensor([real, len(part["rows"]), part["step_examples"]])
        return batch


class AsTheJobSays:
    """What a trainer is told by the job instead of by its own settings."""

    job: Job
    parts: Parts

    def _prepare_dataset(self, dataset, *_arguments, **_named):
        return dataset  # it is tokens already

    def _reject_skip_prepare_without_labels(self, *_arguments, **_named):
        pass  # the collator makes labels

    def _get_train_sampler(self, *_arguments, **_named):
        return SequentialSampler(self.train_dataset)

    def create_scheduler(self, num_training_steps, optimizer=None):
        peak = self.args.learning_rate
        rates = [step["learning_rate"] / peak for step in self.parts.steps]
        optimizer = optimizer or self.optimizer
        self.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rates[min(step, len(rates) - 1)])
        return self.lr_scheduler

    def get_decay_parameter_names(self, model):
        """Matrices; embeddings and the head where the job says so; never norms and biases."""
        embeddings = {id(one.weight) for one in model.modules() if isinstance(one, torch.nn.Embedding)}
        head = model.get_output_embeddings()
        if head is not None:
            embeddings.add(id(head.weight))
        decays = self.job["hyperparameters"]["decay_embeddings"]
        return [
            name
            for name, parameter in model.named_parameters()
            if ("norm" not in name and not name.endswith("bias")) and (decays or id(parameter) not in embeddings)
        ]


class Voice(TrainerCallback):
    """Tells the daemon what happens, and saves when it asks."""

    def __init__(self, job, parts):
        self.job, self.parts, self.trainer, self.has_begun = job, parts, None, False

    def on_step_begin(self, args, state, control, **_):
        self.has_begun = True

    def on_substep_end(self, args, state, control, **_):
        if state.is_world_process_zero:
            heartbeat()

    def on_step_end(self, args, state, control, **_):
        asked = torch.tensor([int(state.is_world_process_zero and self.job.checkpoint_is_asked_for())])
        asked = self.trainer.accelerator.reduce(asked.to(self.trainer.accelerator.device), reduction="sum")
        if asked.item() > 0:
            control.should_save = True
        return control

    def on_log(self, args, state, control, logs=None, **_):
        if state.is_world_process_zero and logs and "loss" in logs:
            say(
                "progress",
                step=state.global_step,
                of=len(self.parts.steps),
                loss=float(logs["loss"]),
                learning_rate=self.parts.steps[state.global_step - 1]["learning_rate"],
                gradient_norm=float(logs["grad_norm"]) if "grad_norm" in logs else None,
                tokens=self.parts.tokens_of(state.global_step - 1),
                preferences=getattr(self.trainer, "preferences", None),
            )

    def on_save(self, args, state, control, **_):
        self.trainer.accelerator.wait_for_everyone()
        if state.is_world_process_zero:
            self.job.checkpoint(Path(args.output_dir) / f"checkpoint-{state.global_step}", state.global_step)
        self.trainer.accelerator.wait_for_everyone()


def settings(job, parts):
    """The job's settings in the words of transformers' Trainer."""
    how, every = job["hyperparameters"], job["checkpoint_every_steps"]
    if how.get("optimizer", "adamw") != "adamw":
        refuse("this trainer has AdamW alone: set `optimizer = \"adamw\"` in the section of `training`")
    on_gpu = torch.cuda.is_available()
    return dict(
        output_dir=job["checkpoints"],
        max_steps=len(parts.steps),
        per_device_train_batch_size=1,  # a part is a batch
        gradient_accumulation_steps=parts.accumulation,
        learning_rate=how["peak_learning_rate"],
        adam_beta1=how["betas"][0],
        adam_beta2=how["betas"][1],
        adam_epsilon=how["epsilon"],
        weight_decay=how["weight_decay"],
        max_grad_norm=how["clip_norm"],
        optim="adamw_torch",
        seed=job["seed"] % 2**32,
        use_cpu=not on_gpu,
        bf16=on_gpu and job["precision"] == "bf16",
        save_strategy="steps" if every else "no",
        save_steps=every or 1,
        logging_steps=1,
        logging_nan_inf_filter=False,
        disable_tqdm=True,
        report_to="none",
        remove_unused_columns=False,
        dataloader_num_workers=0,
    )


@contextlib.contextmanager
def resumed(job, voice):
    """Says of a checkpoint that cannot be read that it is unfit to go on from."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except (OSError, EOFError, KeyError, ValueError, RuntimeError, pickle.UnpicklingError) as error:
        if job.resume is None or voice.has_begun:
            raise
        unfit(f"{type(error).__name__}: {error}")


def all_steps_taken(job):
    """The trained model, of a job whose steps were all taken when it was saved."""
    aside = job.new_output()
    for name in Path(job.resume).iterdir():
        if name.suffix in (".json", ".safetensors") and name.name not in (still_job.COMPLETE, "external.json"):
            shutil.copy(name, aside)
    return aside
