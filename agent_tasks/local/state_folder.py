"""The state folder: where the local servers keep their data, logs and locks."""

from __future__ import annotations

import os
from pathlib import Path

from agent_tasks.errors import ConfigurationError

__all__ = ["prepare_state_folder", "require_private_folder"]


def prepare_state_folder(state_dir: Path) -> None:
    """Makes the state folder: readable by its owner alone (it holds what documents say), ignored by git.

    Raises:
        ConfigurationError: it cannot be made, or not be written to.
    """
    try:
        state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        if state_dir.stat().st_mode & 0o077:  # it was there before, open to others
            state_dir.chmod(0o700)
        ignore = state_dir / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n", encoding="ascii")
    except OSError as error:
        raise ConfigurationError(
            f"The state folder {state_dir} cannot be used ({error.strerror}). Set AGENT_TASKS_STATE_DIR to a "
            "folder on a local disk that you may write to.",
            setting="AGENT_TASKS_STATE_DIR",
        ) from error


def require_private_folder(folder: Path) -> None:
    """Makes a folder whose files are believed: it is ours (or we are root), and no one else's to write to.

    Raises:
        ConfigurationError: it is another user's, or was open to others: what it says may be theirs.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    found = folder.stat()
    if os.geteuid() not in (0, found.st_uid):
        raise ConfigurationError(
            f"The folder {folder} belongs to another user (id {found.st_uid}), who could lead us to a "
            "server of theirs. Set AGENT_TASKS_STATE_DIR to a folder of your own.",
            setting="AGENT_TASKS_STATE_DIR",
        )
    if found.st_mode & 0o077:
        folder.chmod(0o700)
        # Where the file system has no modes (a disk of Windows), all folders look like that, and stay so.
        if found.st_mode & 0o022 and not folder.stat().st_mode & 0o077:
            raise ConfigurationError(
                f"Other users of this machine could write to the folder {folder}, so what it says of servers "
                "may be theirs. Now they can't. End what runs there, remove the folder, and start again.",
                setting="AGENT_TASKS_STATE_DIR",
            )
