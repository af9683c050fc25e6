"""Fixtures of the desk's tests."""

from __future__ import annotations

from tests.batch.conftest import bench

__all__ = ["bench"]
