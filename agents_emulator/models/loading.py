"""How a model is named on the command line; each loads its module when it is asked for."""

from __future__ import annotations

from pathlib import Path

from agent_tasks.redaction import redacted
from agents_emulator.models.base import ChatModel, ModelConfigurationError

__all__ = ["load_model"]


def load_model(spec: str) -> ChatModel:
    """Make the model that a specification names; weights are loaded later, on first use.

    ``smollm2`` is the small real model; ``scripted:RULES.yaml`` is a fake that follows a rules file;
    ``openai:BASE_URL`` or ``openai:BASE_URL#MODEL`` is any OpenAI-compatible chat endpoint (with ``#MODEL``
    every agent uses that model, whatever its own model is called; the key is read from the environment
    variable ``AGENTS_EMULATOR_OPENAI_API_KEY``). Raises :class:`ModelConfigurationError`.
    """
    kind, _, rest = spec.partition(":")
    if kind == "smollm2" and not rest:
        from agents_emulator.models.smollm2 import SmolLM2Model

        return SmolLM2Model()
    if kind == "scripted" and rest:
        from agents_emulator.models.scripted import ScriptedModel

        return ScriptedModel.from_file(Path(rest))
    if kind == "openai" and rest:
        from agents_emulator.models.openai import OpenAIModel

        return OpenAIModel.from_spec(rest)
    raise ModelConfigurationError(
        f"unknown model {redacted(spec)!r}: write smollm2, scripted:RULES.yaml or openai:BASE_URL[#MODEL]"
    )
