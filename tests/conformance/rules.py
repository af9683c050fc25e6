"""How the scripted model answers the drivers' questions, and the functions it calls."""

from __future__ import annotations

import json
from typing import Any

ANSWER = "Good day to you."
SLOW = "take your time"
"""A message whose run stays at work until it is cancelled."""
COUNT = "count the oak"
COUNTED = "There are 7 pieces."


def stock_level(item: str) -> str:
    """
    Tells how many pieces are in stock.

    :param item: The item.
    :return: The number of pieces as JSON.
    """
    return json.dumps({"pieces": 7 if item == "oak" else 0})


RULES: dict[str, Any] = {
    "rules": [
        {
            "when": {"message": COUNT, "tool_results": False},
            "reply": {"tool_calls": [{"name": "stock_level", "arguments": {"item": "oak"}}]},
        },
        {"when": {"message": COUNT}, "reply": {"text": "There are {{ results[0].pieces }} pieces."}},
        {"when": {"message": SLOW}, "delay": 30, "reply": {"text": "At last."}},
    ],
    "default": {"reply": {"text": ANSWER}, "chunk": 4},
}
