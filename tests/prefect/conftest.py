"""Batches for the flows."""

from __future__ import annotations

from tests.batch.conftest import bench

__all__ = ["bench"]
