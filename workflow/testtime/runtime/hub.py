"""The hub of models and datasets: what is in this machine's cache, and what can be fetched.

Local folders need none of this, and nothing waits for a network that is down.
"""

import hashlib
import socket
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit
from urllib.request import getproxies

from huggingface_hub import HfApi, constants, errors, snapshot_download
from huggingface_hub.utils import validate_repo_id

from testtime.errors import UserError
from testtime.study.catalog import ModelSpec

Kind = Literal["model", "dataset"]
WAIT_S = 10  # for the hub's answer about one repository
LARGEST_HASHED = 256 * 2**20  # bytes of weights; hashing more would take too long


@dataclass(frozen=True)
class Found:
    """A repository of the hub that is available.

    Attributes:
        commit: full hash of the revision.
        folder: its place in the cache, None if it must still be fetched.
        size: bytes to fetch.
    """

    commit: str
    folder: Path | None = None
    size: int = 0


@cache
def is_reachable() -> bool:
    """Whether the hub answers, checked once per process; behind a proxy it is assumed to."""
    if constants.HF_HUB_OFFLINE or any(getproxies().get(kind) for kind in ("https", "all")):
        return not constants.HF_HUB_OFFLINE
    hub = urlsplit(constants.ENDPOINT)
    try:
        socket.create_connection((hub.hostname, hub.port or 443), timeout=5).close()
    except OSError:
        return False
    return True


def cached(repo: str, revision: str | None, kind: Kind = "model") -> Found | None:
    """The revision of a repository that lies in the cache; the newest one known for None."""
    try:
        folder = snapshot_download(repo, revision=revision, repo_type=kind, local_files_only=True)
    except errors.LocalEntryNotFoundError as error:
        # A partial download has a folder too: the loaders will say which file is missing.
        folder = getattr(error, "snapshot_path", None)
    return None if folder is None else Found(Path(folder).name, Path(folder))


def find(repo: str, revision: str | None, kind: Kind = "model") -> Found:
    """A repository in the cache, or else on the hub.

    Raises:
        UserError: it is not available; says why, and what to do.
    """
    try:
        validate_repo_id(repo)
    except errors.HFValidationError:
        raise UserError(
            f"no such folder: {repo}; nor is it a hub id such as Qwen/Qwen2.5-0.5B-Instruct"
        ) from None
    local = cached(repo, revision, kind)
    if local is not None:
        return local
    what = f"{repo}{f' at {revision}' if revision else ''}"
    fetch = f"hf download {repo}{f' --revision {revision}' if revision else ''}"
    fetch += " --repo-type dataset" if kind == "dataset" else ""
    if not is_reachable():
        why = "HF_HUB_OFFLINE is set" if constants.HF_HUB_OFFLINE else "the hub cannot be reached"
        raise UserError(
            f"{what} is not in the cache {constants.HF_HUB_CACHE} and {why}; fetch it where there "
            f"is a network ({fetch}), or name a local copy"
        )
    try:
        return _ask(repo, revision, kind)
    except errors.GatedRepoError as error:
        page = f"{constants.ENDPOINT}/{'datasets/' if kind == 'dataset' else ''}{repo}"
        raise UserError(
            f"{repo} is gated: accept its licence at {page}, then log in (hf auth login)"
        ) from error
    except errors.RevisionNotFoundError as error:
        raise UserError(f"{repo} has no revision {revision}; look it up on its page") from error
    except errors.RepositoryNotFoundError as error:
        raise UserError(
            f"no {kind} {repo} on the hub, or it is private: check the name, or log in "
            "(hf auth login)"
        ) from error
    except (errors.HfHubHTTPError, OSError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"the hub does not answer for {what}: {reason}") from error


def revision(spec: ModelSpec) -> str:
    """Which weights a model has: the commit on the hub, or a digest of local ones.

    For a model that is not pinned, the commit in this machine's cache is given.
    """
    if spec.train is not None:
        return "trained by this study"
    if spec.folder is None:
        local = cached(spec.model, spec.revision)
        if spec.revision:
            commit = local.commit if local else spec.revision
            return commit if commit == spec.revision else f"{spec.revision} ({commit})"
        newest = local.commit if local else "newest on the hub at the time"
        return f"{newest} (not pinned)"
    weights = sorted(spec.folder.glob("*.safetensors"))
    if not weights or sum(path.stat().st_size for path in weights) > LARGEST_HASHED:
        return "local folder"
    digest = hashlib.sha256()
    for path in weights:
        digest.update(path.read_bytes())
    return f"sha256 {digest.hexdigest()[:16]}"


def _ask(repo: str, revision: str | None, kind: Kind) -> Found:
    api = HfApi()
    info = api.repo_info(
        repo, revision=revision, repo_type=kind, timeout=WAIT_S, files_metadata=True
    )
    if info.gated:
        api.auth_check(repo, repo_type=kind)
    sizes = [file.size or 0 for file in info.siblings or []]
    return Found(info.sha, size=sum(sizes))
