"""Secrets of commands: from a file, standard input or the environment, never from an argument.

Arguments of a process are for all users of a machine to read (`ps`), and shells keep them in their history.
"""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

from agent_tasks.errors import ConfigurationError
from agent_tasks.redaction import has_secret

__all__ = ["MODEL_KEY", "MODEL_VARIABLE", "TOKEN_VARIABLE", "read_token", "refuse_secrets_in_arguments"]

MODEL_KEY = "AGENTS_EMULATOR_OPENAI_API_KEY"
MODEL_VARIABLE = "AGENTS_EMULATOR_MODEL"
TOKEN_VARIABLE = "AGENTS_EMULATOR_TOKEN"  # noqa: S105 - a name, not a secret

_MAX_BYTES = 64 * 1024


def refuse_secrets_in_arguments(token: str | None, model: str | None) -> None:
    """Refuse a token, or a model whose address holds a password or key, among the arguments.

    Raises:
        ConfigurationError: there is one; the message has the remedy, and not the secret.
    """
    if token is not None:
        raise ConfigurationError(
            "--token is not taken: every user of this machine can read the arguments of a process. Give "
            f"--token-file FILE (- for standard input) or set {TOKEN_VARIABLE}, and choose another token, "
            "since this one has been shown.",
            setting="--token",
        )
    if model is not None and has_secret(model):
        raise ConfigurationError(
            "--model holds a user, a password or a key, and every user of this machine can read the "
            f"arguments of a process. Set {MODEL_VARIABLE} in the environment instead (for agent-tasks: "
            f"AGENT_TASKS_LOCAL_MODEL), or leave the key out of the address and set {MODEL_KEY}.",
            setting="--model",
        )


def read_token(file: str | None) -> str | None:
    """The token in a file, `-` for standard input; without one, that of the environment, or None.

    Raises:
        ConfigurationError: the file cannot be read, is empty, or may be read by others.
    """
    if file is None:
        return os.environ.get(TOKEN_VARIABLE) or None
    try:
        text = sys.stdin.read(_MAX_BYTES) if file == "-" else _private(Path(file))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"The token file {file} cannot be read ({error}). Give a text file with the token alone.",
            setting="--token-file",
        ) from None
    token = text.strip()
    if not token or len(token.split()) > 1:
        raise ConfigurationError(
            f"The token file {file} is empty, or holds more than a token. Give one with the token alone.",
            setting="--token-file",
        )
    return token


def _private(path: Path) -> str:
    with path.open(encoding="utf-8") as file:
        mode = os.fstat(file.fileno()).st_mode
        if stat.S_ISREG(mode) and mode & 0o077:
            raise ConfigurationError(
                f"The token file {path} may be read by others (mode {stat.S_IMODE(mode):04o}). "
                f"Run: chmod 600 {path}",
                setting="--token-file",
            )
        return file.read(_MAX_BYTES)
