"""Code of a model, executed in a child process that can do little else than compute."""

from agents_emulator.tools.sandbox.runner import Execution, Limits, Sandbox, SandboxError

__all__ = ["Execution", "Limits", "Sandbox", "SandboxError"]
