"""A training job as `stilld` hands it to a command, and what the command has to say (docs/external-training.md).

The standard library is all that this needs, whatever trains.
"""

import hashlib
import json
import math
import os
import shutil
import sys
import threading
import time
from pathlib import Path

FORMAT = 1
COMPLETE = "complete.json"
HEARTBEAT_SECONDS = 5.0


class Job:
    """The folder that `STILL_JOB` names."""

    def __init__(self, folder=None):
        self.folder = Path(folder or os.environ["STILL_JOB"])
        self.facts = json.loads((self.folder / "job.json").read_text())
        if self.facts["format"] != FORMAT:
            refuse(f"the job's folder is of format {self.facts['format']}, and this trainer reads {FORMAT}")
        self.resume = os.environ.get("STILL_RESUME")

    def __getitem__(self, name):
        return self.facts[name]

    def get(self, name):
        return self.facts.get(name)

    def lines(self, name):
        """The lines of a data file, `examples` or `steps`, once its hash is seen to be right."""
        about = self.facts[name]
        content = Path(about["file"]).read_bytes()
        if hashlib.sha256(content).hexdigest() != about["sha256"]:
            fail(f"`{about['file']}` is not what was written")
        return [json.loads(line) for line in content.splitlines()]

    def checkpoint_is_asked_for(self):
        """Whether somebody waits for a checkpoint; asked once, it is taken up."""
        try:
            os.remove(self.facts["checkpoint_request"])
            return True
        except FileNotFoundError:
            return False

    def resumed_step(self):
        """Optimizer steps that the checkpoint to go on from has taken."""
        return json.loads((Path(self.resume) / COMPLETE).read_text())["step"] if self.resume else 0

    def checkpoint(self, folder, step):
        """A checkpoint is written: it is complete from here on."""
        complete(folder, {"step": step})
        say("checkpoint", folder=str(folder), step=step)

    def new_output(self):
        """An empty folder for the trained model, aside until it is complete."""
        aside = self.folder / "output.part"
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir()
        return aside

    def done(self, aside):
        """The trained model is written into what `new_output` gave."""
        complete(aside, {"job": self.facts["job"]})
        shutil.rmtree(self.facts["output"], ignore_errors=True)
        os.rename(aside, self.facts["output"])
        say("done")


def complete(folder, facts):
    """Says of a folder that it is complete: its files are on the disk, and this one is the last."""
    for file in Path(folder).rglob("*"):
        if file.is_file():
            with open(file, "rb") as written:
                os.fsync(written.fileno())
    part = Path(folder) / f".{COMPLETE}.part"
    with open(part, "w") as out:
        json.dump(facts, out)
        out.flush()
        os.fsync(out.fileno())
    os.rename(part, Path(folder) / COMPLETE)


def say(event, **fields):
    """A line that the daemon reads. What is not finite has no JSON, and is null."""
    def finite(value):
        if isinstance(value, dict):
            return {name: finite(inner) for name, inner in value.items()}
        return None if isinstance(value, float) and not math.isfinite(value) else value

    print(json.dumps({"event": event, **finite(fields)}), flush=True)


_said_at = 0.0


def heartbeat():
    """Alive, and between two steps. To be called where work goes on, not by a thread that would outlive it."""
    global _said_at
    if time.monotonic() - _said_at >= HEARTBEAT_SECONDS:
        _said_at = time.monotonic()
        say("heartbeat")


def fail(reason):
    """A fresh start may do better."""
    say("failed", reason=reason)
    sys.exit(1)


def refuse(reason):
    """The job can never be run as given."""
    say("refused", reason=reason)
    sys.exit(1)


def unfit(reason):
    """The checkpoint cannot be gone on from."""
    say("unfit", reason=reason)
    sys.exit(1)


def end_with_parent():
    """The daemon's end ends the process that it started; whoever that one started sees its parent go."""
    parent = os.getppid()

    def watch():
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(1)

    threading.Thread(target=watch, name="end-with-parent", daemon=True).start()
