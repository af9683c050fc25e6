"""How many tokens a text has, roughly."""

from __future__ import annotations

import re

_TOKEN = re.compile(r"\w+|[^\w\s]")


def estimate_tokens(text: str) -> int:
    """Tokens of a text, roughly and rather too many: the deployed model's tokenizer is not at hand."""
    return max(len(text.encode()) // 4, len(_TOKEN.findall(text)))
