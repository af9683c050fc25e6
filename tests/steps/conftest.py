"""A workspace over the local service."""

from __future__ import annotations

from tests.operations.conftest import LossyTransport, OpenWorkspace, open_workspace, transport

__all__ = ["LossyTransport", "OpenWorkspace", "open_workspace", "transport"]
