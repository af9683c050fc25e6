"""Where the kill suite leaves its counts; apart from its pipeline, whose children need no pytest."""

from __future__ import annotations

import pytest

SUMMARY = pytest.StashKey[str]()
"""The last line of the session."""
