"""Who may use the Prefect server of a state folder: those who can read its auth string.

The server listens on the loopback interface, which all users of the machine and each page in a browser reach.
So it answers only requests that carry the auth string: `STATE/prefect/auth-string`, made once for each state
folder, readable by its owner alone. It travels in files, pipes and environments, never in argument lists.

    basic(auth_string(settings.state_dir))  # the header `Authorization` of a request

Nothing here imports Prefect.
"""

from __future__ import annotations

import base64
import os
import secrets
from pathlib import Path

from agent_tasks.errors import ConfigurationError

__all__ = ["auth_path", "auth_string", "basic", "origins", "ui_folder", "write_private"]

USER = "agent-tasks"
"""The name before the colon; Prefect compares the whole text."""


def auth_path(state_dir: Path) -> Path:
    """The file with the auth string of a state folder's Prefect server."""
    return state_dir / "prefect" / "auth-string"


def ui_folder(state_dir: Path) -> Path:
    """The folder in which the server of a state folder keeps the files of the dashboard."""
    return state_dir / "prefect" / "ui"


def auth_string(state_dir: Path) -> str:
    """The auth string of a state folder's Prefect server; made if there is none yet.

    Raises:
        ConfigurationError: the file cannot be read or written, or is empty.
    """
    path = auth_path(state_dir)
    what = f"The file {path}, the key to the Prefect server of the state folder,"
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not path.exists():
            _make(path)
        path.chmod(0o600)
        found = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"{what} cannot be used: {error}. Correct its rights, or remove it when nothing runs there."
        ) from error
    if not found:
        raise ConfigurationError(f"{what} is empty. Remove it when nothing runs there; it is made anew.")
    return found


def _make(path: Path) -> None:
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}.tmp")
    write_private(temporary, f"{USER}:{secrets.token_urlsafe(32)}\n")
    try:
        os.link(
            temporary, path
        )  # unlike a rename, it leaves what another process has made in the same moment
    except FileExistsError:
        pass
    finally:
        temporary.unlink()


def write_private(path: Path, text: str) -> None:
    """Write a file that its owner alone can read, whoever owned what was there before."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


def basic(auth: str) -> str:
    """The header `Authorization` for an auth string."""
    return "Basic " + base64.b64encode(auth.encode()).decode("ascii")


def origins(port: str) -> str:
    """The origins of the server's own pages, as Prefect's CORS setting takes them."""
    return f"http://127.0.0.1:{port},http://localhost:{port}"
