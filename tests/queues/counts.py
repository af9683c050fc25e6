"""Where the load test leaves its counts; they become the last line of the session."""

from __future__ import annotations

import pytest

SUMMARY = pytest.StashKey[str]()
