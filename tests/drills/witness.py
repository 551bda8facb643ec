"""What a drill finds out about a run: outputs made twice, rows computed twice, processes left."""

import os
import threading
import time
from collections import Counter
from pathlib import Path
from typing import IO

import psutil
from studies import outputs
from testtime.data.rows import read_rows


class Witness:
    """Watches the outputs of a results folder in a thread of its own.

    Files are held open, so that no other file can get their inode.

    Attributes:
        remade: how often each output was replaced by another file.
        lost: how often each output vanished.
    """

    def __init__(self, results: Path):
        self._results, self._ended = results, threading.Event()
        self._seen: dict[Path, IO[bytes]] = {}
        self.remade: Counter[Path] = Counter()
        self.lost: Counter[Path] = Counter()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Look a last time."""
        self._ended.set()
        self._thread.join()
        self._look()

    def _watch(self) -> None:
        while not self._ended.wait(0.5):
            self._look()

    def _look(self) -> None:
        there = outputs(self._results) if self._results.exists() else []
        for path in set(self._seen) - set(there):
            self._seen.pop(path).close()
            self.lost[path] += 1
        for path in there:
            try:
                file = path.open("rb")
            except FileNotFoundError:
                continue
            known = self._seen.get(path)
            if known is not None and os.path.sameopenfile(known.fileno(), file.fileno()):
                file.close()
                continue
            if known is not None:
                known.close()
                self.remade[path] += 1
            self._seen[path] = file


def computed(results: Path) -> dict[str, tuple[int, int, int, int]]:
    """By stage: rows, rows beyond the first of each, and the tokens of both."""
    found = {}
    for stage in ("generate", "score", "search"):
        seen: set[tuple] = set()
        rows = again = tokens = tokens_again = 0
        for path in results.glob(f"store/{stage}/**/*.jsonl.gz"):
            for stamp, own in read_rows(path):
                for key, row in own:
                    own_tokens = _tokens(stage, row)
                    rows, tokens = rows + 1, tokens + own_tokens
                    if (path.parent, stamp, key) in seen:
                        again, tokens_again = again + 1, tokens_again + own_tokens
                    seen.add((path.parent, stamp, key))
        found[stage] = rows, again, tokens, tokens_again
    return found


def processes_in(*folders: Path) -> dict[int, str]:
    """Processes that work in these folders or name them, and their command lines."""
    found = {}
    for process in psutil.process_iter(["cwd", "cmdline"]):
        working = Path(process.info["cwd"] or "/")
        words = " ".join(process.info["cmdline"] or [])
        if any(working.is_relative_to(f) or f"{f}/" in words for f in folders):
            found[process.pid] = words
    found.pop(os.getpid(), None)
    return found


def wait_until_gone(*folders: Path, seconds: float) -> dict[int, str]:
    """The processes in these folders that are still there after so many seconds."""
    deadline = time.monotonic() + seconds
    while (left := processes_in(*folders)) and time.monotonic() < deadline:
        time.sleep(1)
    return left


def _tokens(stage: str, row: object) -> int:
    """Tokens that a row cost: drawn for a sample, read for a score, both for a search's tree."""
    if stage == "generate":
        return row["tokens"]
    if stage == "score":
        return row[1]
    return row[0]["tree_policy_tokens"] + row[0]["tree_prm_tokens"]
