"""Language models of the local service: a small real one, any OpenAI endpoint, and a scripted fake."""

from agents_emulator.models.base import (
    ChatMessage,
    ChatModel,
    ChatRequest,
    Finished,
    ImagePart,
    ModelConfigurationError,
    ModelError,
    TextDelta,
    ToolCall,
    ToolSpec,
)
from agents_emulator.models.loading import load_model

__all__ = [
    "ChatMessage",
    "ChatModel",
    "ChatRequest",
    "Finished",
    "ImagePart",
    "ModelConfigurationError",
    "ModelError",
    "TextDelta",
    "ToolCall",
    "ToolSpec",
    "load_model",
]
