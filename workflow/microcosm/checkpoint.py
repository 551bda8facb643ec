"""What a killed training goes on from: its state after a step, in one file.

The last state stays: a model that was lost just after it was written, as when its node fails, is
written again from there.

The examples that it has read are not in there: they are made again from their seed, which takes a
twentieth of the time of learning from them.
"""

import io
import pickle
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import torch
from testtime.data.rows import digest
from testtime.data.store import atomic
from testtime.runtime import weights
from testtime.study.closure import import_closure

EVERY_S = 30.0


class Stateful(Protocol):
    """A model, a part of its optimiser or a schedule of that."""

    def state_dict(self) -> dict:
        """Its state, as tensors and plain values."""

    def load_state_dict(self, state: dict) -> object:
        """Take up a state."""


class Checkpoint:
    """The state of one training; without a path, none is kept.

    Args:
        path: of the file.
        decided: of what decides the weights, see `decided_by`; the state of a training that
            followed something else is not taken up.
        every_s: seconds between two writes.
    """

    def __init__(self, path: str | Path | None = None, decided: str = "", every_s: float = EVERY_S):
        self._path = Path(path) if path else None
        self._decided, self._every_s = decided, every_s
        self._written, self._begun, self._before = time.monotonic(), time.process_time(), 0.0

    @property
    def seconds(self) -> float:
        """CPU seconds that the training has taken, those before it was killed included."""
        return self._before + time.process_time() - self._begun

    def restore(self, parts: Sequence[Stateful]) -> int:
        """Put the parts into the state that was kept; returns how many steps that was after."""
        state = self._read()
        if state.get("decided") != self._decided:
            return 0
        for part, known in zip(parts, state["parts"], strict=True):
            part.load_state_dict(known)
        torch.set_rng_state(state["random"])
        self._before = state["seconds"]
        print(f"continued after step {state['step']}, as {self._path} says", flush=True)
        return state["step"]

    def keep(self, step: int, parts: Sequence[Stateful], *, last: bool = False) -> None:
        """Keep the state after a step, if the one before was kept a while ago or this is the last.

        Raises:
            UserError: the file cannot be written.
            RunOverError: this is a job of an earlier run, see `lock.check_run`.
        """
        too_soon = time.monotonic() - self._written < self._every_s
        if self._path is None or (too_soon and not last):
            return
        state = {
            "decided": self._decided,
            "step": step,
            "seconds": self.seconds,
            "random": torch.get_rng_state(),
            "parts": [part.state_dict() for part in parts],
        }
        packed = io.BytesIO()  # on a full disk, torch's own writing fails without saying why
        torch.save(state, packed)
        with atomic(self._path) as temporary:
            temporary.write_bytes(packed.getbuffer())
        self._written = time.monotonic()

    def _read(self) -> dict:
        """What was kept; nothing if there is no file, or not a whole one. It is never unpickled."""
        if self._path is None or not self._path.is_file():
            return {}
        try:
            return torch.load(self._path, weights_only=True)
        except (RuntimeError, EOFError, pickle.UnpicklingError):
            return {}


def decided_by(program: str | Path, recipe: dict, *models: str | Path) -> str:
    """A digest of what decides a model's weights, to the last bit.

    Args:
        program: that trains it; what it imports from the project counts too.
        recipe: of the model.
        models: folders of those that it is grown from, or learns from.
    """
    code = [path.read_text(encoding="utf-8") for path in import_closure(Path(program))]
    read = [weights.digests(Path(folder), {}) for folder in models]
    return digest(torch.__version__, code, recipe, read)
