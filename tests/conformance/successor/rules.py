"""How the scripted model answers the drivers of the successor's wire."""

from __future__ import annotations

from typing import Any

from tests.conformance.rules import RULES as CLASSIC
from tests.conformance.rules import browsing

RULES: list[dict[str, Any]] = [
    {
        "when": {"message": "^use web_search$", "tool_results": False},
        "reply": {"tool_calls": [{"name": "web_search", "arguments": {"query": "the price of oak boards"}}]},
    },
    {"when": {"message": "^price as JSON$"}, "reply": {"json": {"euros": 40}}},
    {"when": {"message": "^who are you"}, "reply": {"text": "{{ instructions }}"}},
    {"when": {"message": "^what did I say"}, "reply": {"text": "{{ message }}"}},
]


def rules(page: str | None) -> dict[str, Any]:
    """All rules; `page` is what the browser opens, if there is one."""
    first = [] if page is None else browsing(page)
    return {**CLASSIC, "rules": [*first, *RULES, *CLASSIC["rules"]]}
