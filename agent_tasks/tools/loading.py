"""Find the function that a pipeline file names, without touching the module search path."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
import threading
from pathlib import Path
from types import ModuleType
from typing import Any

from agent_tasks.errors import ConfigurationError
from agent_tasks.tools.function import FunctionTool

_loading = threading.Lock()


def load_function(reference: str, folder: Path | None = None) -> FunctionTool:
    """Load ``module:function`` as a tool.

    A module name without dots is first looked for as ``<module>.py`` in `folder`; otherwise it is an
    installed module. Names must be identifiers, so a reference can never lead out of the folder. Loading runs
    the module's code: a pipeline file is trusted like a program.

    Args:
        reference: ``module:function``.
        folder: Folder of the pipeline file.

    Returns:
        The function as a `FunctionTool`; one that is decorated with `function_tool` keeps its settings.

    Raises:
        ConfigurationError: Not such a reference, no such module or function, or the module fails to import.
    """
    found = load_object(reference, folder)
    if isinstance(found, FunctionTool):
        return found
    if not callable(found) or isinstance(found, type):
        raise ConfigurationError(f"{reference} is {type(found).__name__}, not a function")
    return FunctionTool.from_callable(found)


def load_object(reference: str, folder: Path | None = None) -> Any:
    """Load what ``module:name`` names, such as a function or a model; looked for as `load_function` does.

    Raises:
        ConfigurationError: Not such a reference, no such module or name, or the module fails to import.
    """
    module_name, colon, name = reference.partition(":")
    if not colon or not name.isidentifier() or not all(p.isidentifier() for p in module_name.split(".")):
        raise ConfigurationError(
            f"{reference!r} does not name a function; write 'module:function' (module names are identifiers, "
            "not paths; the module lies next to the pipeline file or is installed)"
        )
    module = _local_module(module_name, folder) or _installed_module(module_name, reference)
    found: Any = getattr(module, name, None)
    if found is None:
        raise ConfigurationError(f"module {module_name} ({module.__file__}) has no function {name}")
    return found


def _local_module(name: str, folder: Path | None) -> ModuleType | None:
    """Import ``<folder>/<name>.py`` under a name of its own, once for each content of the file."""
    if folder is None or "." in name:
        return None
    path = (folder / f"{name}.py").resolve()
    if not path.is_file():
        return None
    content = path.read_bytes()
    # Two pipelines may each have a `tools.py`, and a file may change between two runs in one process.
    digest = hashlib.sha256(str(path).encode() + b"\0" + content).hexdigest()[:16]
    unique = f"agent_tasks_local_{name}_{digest}"
    with _loading:
        if unique in sys.modules:
            return sys.modules[unique]
        spec = importlib.util.spec_from_file_location(unique, path)
        if spec is None or spec.loader is None:
            raise ConfigurationError(f"{path} cannot be loaded as a Python module")
        module = importlib.util.module_from_spec(spec)
        sys.modules[unique] = module  # dataclasses and pydantic look their module up while it loads
        try:
            spec.loader.exec_module(module)
        except Exception as error:
            del sys.modules[unique]
            raise ConfigurationError(f"{path} failed to load: {type(error).__name__}: {error}") from error
        return module


def _installed_module(name: str, reference: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ConfigurationError(
            f"module {name} of tool {reference!r} was not found next to the pipeline file and is not "
            f"installed: {error}"
        ) from error
