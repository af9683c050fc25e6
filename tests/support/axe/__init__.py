"""Whether axe-core is here, and what it finds on a page.

`make axe` fetches it from npm, as `package-lock.json` pins it; `make test` does so too.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

_SCRIPT = Path(__file__).resolve().parents[3] / ".venv/axe/node_modules/axe-core/axe.min.js"
_MISSING = not _SCRIPT.exists()

GRAVE = ("serious", "critical")
"""Impacts of findings that keep somebody from using a page."""

# In CI it has to be here: a check that nobody runs finds nothing.
needs_axe = pytest.mark.skipif(
    _MISSING and not os.environ.get("CI"), reason="axe-core is not installed: `make axe` (npm) fetches it"
)


def findings(page: Any) -> list[str]:
    """What axe-core finds on the page that a browser shows: impact, rule and elements, one line each."""
    assert _SCRIPT.exists(), f"{_SCRIPT} is missing: run `make axe`"
    page.evaluate(_SCRIPT.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{one['impact']} {one['id']} ({one['help']}): {[node['html'][:160] for node in one['nodes'][:3]]}"
        for one in found["violations"]
    ]
