"""Whether there is a Chromium for tests that need one."""

from __future__ import annotations

import asyncio

import pytest

from agents_emulator.tools.chromium import MissingBrowserError, find_chromium
from agents_emulator.tools.settings import BrowserSettings


def _missing() -> str:
    try:
        asyncio.run(find_chromium(BrowserSettings()))
    except MissingBrowserError as error:
        return str(error)
    return ""


MISSING_CHROMIUM = _missing()
"""Why there is none, with the remedy; empty where there is one."""

needs_chromium = pytest.mark.skipif(bool(MISSING_CHROMIUM), reason=MISSING_CHROMIUM or "it is here")
