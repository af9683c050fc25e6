"""What a server runs with beside its own settings, as hashes: is one that still runs the one to be started?

    environment = settled(environment)  # the same in every terminal, as far as that has no effect
    surroundings(environment, command)  # {"PATH": ..., "environment": ..., "packages": ..., ...}

Environments hold secrets and the hashes stand in a file: they take long to guess from.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import json
import os
import site
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from agent_tasks.base_environment import picked

__all__ = ["changes_unseen", "content_digest", "digest", "settled", "surroundings"]

_ROUNDS = 20_000
"""Of PBKDF2, about ten milliseconds: a short secret in an environment is not to be guessed from its hash."""
_LOOPBACK = ("127.0.0.1", "localhost")
_OF_TERMINALS = ("TERM", "SHELL", "VIRTUAL_ENV", "XDG_RUNTIME_DIR", "LANG", "LANGUAGE")
_OURS = ("agent_tasks", "agents_emulator")
_OUR_DISTRIBUTION = "prefect_azure_agents-"


def settled(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment to start a server with: without what differs from terminal to terminal.

    Args:
        environment: what the server needs of the caller's.
    """
    kept = {
        name: value
        for name, value in environment.items()
        if name not in _OF_TERMINALS and not name.startswith("LC_")
    }
    # The C locale is UTF-8 to Python and Node, whatever was dropped.
    if user := kept.get("USER") or kept.get("LOGNAME"):
        kept |= {"USER": user, "LOGNAME": user}
    # An environment that is activated has its folder there; one whose programs are named by path has not.
    own = str(Path(sys.executable).parent)
    others = [folder for folder in kept.get("PATH", os.defpath).split(os.pathsep) if folder != own]
    kept["PATH"] = os.pathsep.join([own, *others])
    hosts = f"{kept.get('NO_PROXY', '')},{kept.get('no_proxy', '')}".split(",")
    no_proxy = ",".join([*_LOOPBACK, *sorted({host.strip() for host in hosts} - {"", *_LOOPBACK})])
    return {**kept, "NO_PROXY": no_proxy, "no_proxy": no_proxy}


def surroundings(environment: Mapping[str, str], command: Sequence[str] = ()) -> dict[str, str]:
    """Describe what a server gets from this process, and is not in its settings.

    Args:
        environment: the server's environment.
        command: its arguments.

    Returns:
        A hash each for the variables that hold no secret, for all the others together, for its command, for
        the interpreter, and for the installed packages with our own sources.
    """
    plain = picked(environment)
    others = "\0".join(f"{name}={value}" for name, value in sorted(environment.items()) if name not in plain)
    return {
        **{name: _short(os.fsencode(f"{value} {_of_file(value)}")) for name, value in plain.items()},
        "environment": digest(os.fsencode(others)),
        "command": _short(os.fsencode("\0".join(command))),
        "interpreter": _short(f"{sys.executable} {sys.version}".encode()),
        "packages": _packages(),
    }


def changes_unseen(environment: Mapping[str, str]) -> bool:
    """Whether a server imports from folders whose content is in no hash.

    They are those of `PYTHONPATH`, and those of packages that are installed from a folder where they are
    edited. Such a server is not to outlive the command that has started it.

    Args:
        environment: the server's environment.
    """
    return bool(environment.get("PYTHONPATH")) or _has_edited_packages()


def content_digest(path: Path) -> str:
    """A few digits that change with a file's content, which may be secret; `-` where it can't be read."""
    try:
        return digest(path.read_bytes())
    except OSError:
        return "-"


def digest(data: bytes) -> str:
    """A few digits that change with what is hashed, and take long to guess it from."""
    return hashlib.pbkdf2_hmac("sha256", data, b"agent-tasks", _ROUNDS).hex()[:16]


def _of_file(value: str) -> str:
    """Size and time of the file that a variable names (trusted certificates), if it is one."""
    if not value.startswith(os.sep) or not os.path.isfile(value):
        return ""
    found = os.stat(value)
    return f"{found.st_size} {found.st_mtime_ns}"


@functools.cache
def _packages() -> str:
    """What is installed, with the times of its installation, and name, size and time of our source files."""
    parts: set[str] = set()
    for entry in _installed():
        parts.add(f"{entry.name} {entry.stat().st_mtime_ns}")
    for package in _OURS:
        found = importlib.util.find_spec(package)
        for path in (found.submodule_search_locations or ()) if found is not None else ():
            parts.update(_sources(Path(path)))
    return _short(os.fsencode("\0".join(sorted(parts))))


@functools.cache
def _has_edited_packages() -> bool:
    for entry in _installed():
        try:
            origin = json.loads(Path(entry.path, "direct_url.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if origin.get("dir_info", {}).get("editable") and not entry.name.startswith(_OUR_DISTRIBUTION):
            return True
    return False


def _installed() -> Iterator[os.DirEntry[str]]:
    """What says which packages there are, and where further ones are looked for."""
    # Not `sys.path`: it has the folder of the program too, and ours are many.
    folders = [*site.getsitepackages(), *([site.getusersitepackages()] if site.ENABLE_USER_SITE else [])]
    for folder in filter(os.path.isdir, folders):
        with os.scandir(folder) as entries:
            yield from (one for one in entries if one.name.endswith((".dist-info", ".egg-info", ".pth")))


def _sources(root: Path) -> Iterator[str]:
    for folder, _, files in os.walk(root):
        for name in files:
            if name.endswith((".pyc", ".tmp")):
                continue
            found = os.stat(os.path.join(folder, name))
            yield f"{folder}/{name} {found.st_size} {found.st_mtime_ns}"


def _short(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]
