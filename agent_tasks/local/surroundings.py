"""What a server runs with beside its own settings, as hashes: is one that still runs the one to be started?

    surroundings(environment)  # {"environment": ..., "interpreter": ..., "packages": ...}

Environments hold secrets and the hashes stand in a file: they take long to guess from.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import os
import site
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

__all__ = ["content_digest", "surroundings"]

_ROUNDS = 20_000
"""Of PBKDF2, about ten milliseconds: a short secret in an environment is not to be guessed from its hash."""
_LOOPBACK = frozenset(("", "127.0.0.1", "localhost"))
_WITHOUT_EFFECT = ("TERM", "NO_PROXY", "no_proxy")


def surroundings(environment: Mapping[str, str]) -> dict[str, str]:
    """Describe what a server gets from this process, and is not in its settings.

    Args:
        environment: the server's environment.

    Returns:
        A hash each for the environment, the interpreter and the installed packages with our own sources.
    """
    return {
        "environment": _of_environment(environment),
        "interpreter": _short(f"{sys.executable} {sys.version}".encode()),
        "packages": _packages(),
    }


def content_digest(path: Path) -> str:
    """A few digits that change with a file's content; `-` where it can't be read."""
    try:
        return _short(path.read_bytes())
    except OSError:
        return "-"


def _of_environment(environment: Mapping[str, str]) -> str:
    kept = {name: value for name, value in environment.items() if name not in _WITHOUT_EFFECT}
    # This machine is added to it by some commands (`prefect_environment`).
    hosts = f"{environment.get('NO_PROXY', '')},{environment.get('no_proxy', '')}".split(",")
    kept["NO_PROXY"] = ",".join(sorted(set(hosts) - _LOOPBACK))
    text = "\0".join(f"{name}={value}" for name, value in sorted(kept.items()))
    return hashlib.pbkdf2_hmac("sha256", os.fsencode(text), b"agent-tasks", _ROUNDS).hex()[:16]


@functools.cache
def _packages() -> str:
    """Names and versions of what is installed, and name, size and time of each of our source files."""
    parts: set[str] = set()
    # Not `sys.path`: it has the folder of the program too, and ours are many.
    folders = [*site.getsitepackages(), *([site.getusersitepackages()] if site.ENABLE_USER_SITE else [])]
    for folder in filter(os.path.isdir, folders):
        parts.update(name for name in os.listdir(folder) if name.endswith((".dist-info", ".egg-info")))
    for package in ("agent_tasks", "agents_emulator"):
        found = importlib.util.find_spec(package)
        for path in (found.submodule_search_locations or ()) if found is not None else ():
            parts.update(_sources(Path(path)))
    return _short(os.fsencode("\0".join(sorted(parts))))


def _sources(root: Path) -> Iterator[str]:
    for folder, _, files in os.walk(root):
        for name in files:
            if name.endswith((".pyc", ".tmp")):
                continue
            found = os.stat(os.path.join(folder, name))
            yield f"{folder}/{name} {found.st_size} {found.st_mtime_ns}"


def _short(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]
