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


COLOURS = ("color-contrast", "link-in-text-block")
"""Rules whose findings depend on the colours of a page; all others on its elements, and on what is shown."""


def findings(page: Any, *rules: str) -> list[str]:
    """What axe-core finds on the page that a browser shows: impact, rule and elements, one line each.

    Args:
        page: a page of Playwright's.
        rules: ids of the rules that are checked; none: all.
    """
    assert _SCRIPT.exists(), f"{_SCRIPT} is missing: run `make axe`"
    if page.evaluate("typeof axe") == "undefined":  # once for each document
        page.evaluate(_SCRIPT.read_text(encoding="utf-8"))
    wanted = {"resultTypes": ["violations"], **({"runOnly": list(rules)} if rules else {})}
    found = page.evaluate("wanted => axe.run(document, wanted)", wanted)
    return [
        f"{one['impact']} {one['id']} ({one['help']}): {[node['html'][:160] for node in one['nodes'][:3]]}"
        for one in found["violations"]
    ]
