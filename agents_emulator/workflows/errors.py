"""What may be wrong with a workflow."""

from __future__ import annotations


class WorkflowError(ValueError):
    """A workflow that cannot be read, or an action that cannot be carried out; the message says which."""
