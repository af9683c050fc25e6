"""Code of a model, executed in isolation: in a jail that bubblewrap makes, or not at all."""

from agents_emulator.tools.sandbox.errors import IsolationError, SandboxError
from agents_emulator.tools.sandbox.limits import Limits
from agents_emulator.tools.sandbox.runner import Execution, Sandbox

__all__ = ["Execution", "IsolationError", "Limits", "Sandbox", "SandboxError"]
