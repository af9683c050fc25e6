"""The caches of the person that runs the tests, for programs that get a home folder of their own."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["shared_cache"]


def shared_cache() -> dict[str, str]:
    """The variable with which a Prefect server finds a migrated database, instead of migrating one again."""
    return {"XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")}
