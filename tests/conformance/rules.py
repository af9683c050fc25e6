"""How the scripted model answers the drivers' questions, and the functions it calls."""

from __future__ import annotations

import json
from typing import Any

ANSWER = "Good day to you."
SLOW = "take your time"
"""A message whose run stays at work until it is cancelled."""
STORAGE = "azureml://subscriptions/s/resourcegroups/g/workspaces/w/datastores/d/paths"
"""Where the project keeps files: those of the search folder."""
COUNT = "count the oak"
COUNTED = "There are 7 pieces."


def stock_level(item: str) -> str:
    """
    Tells how many pieces are in stock.

    :param item: The item.
    :return: The number of pieces as JSON.
    """
    return json.dumps({"pieces": 7 if item == "oak" else 0})


TOOL_CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "function": ("stock_level", {"item": "oak"}),
    "code_interpreter": ("code_interpreter", {"code": "print(6 * 7)"}),
    "openapi": ("prices_GetPrice", {"item": "oak"}),
    "connected_agent": ("helper", {"message": "Hello"}),
    "mcp": ("add", {"a": 2, "b": 3}),
    "computer_use_preview": ("computer_use_preview", {"type": "screenshot"}),
    "azure_function": ("stock_level", {"item": "oak"}),
    "deep_research": ("deep_research", {"query": "the price of oak"}),
    "browser_automation": ("browser_automation", {"query": "look up the price of oak"}),
    **{
        kind: ("price_list", {"message": {"parts": [{"kind": "text", "text": "What does oak cost?"}]}})
        for kind in ("a2a", "a2a_preview")
    },
    **{
        kind: (kind, {"query": "the price of oak boards"})
        for kind in (
            "azure_ai_search",
            "bing_grounding",
            "bing_custom_search",
            "sharepoint_grounding",
            "fabric_dataagent",
        )
    },
}
"""The function that the model calls on the message `use TOOL`, and its arguments."""

TOOL_ANSWERS: dict[str, str] = {
    "function": "7",
    "code_interpreter": "42",
    "file_search": "Oak boards cost 40 euros",
    "openapi": "40",
    "connected_agent": ANSWER,
    "mcp": "5",
    "computer_use_preview": "Done",
    "azure_function": "7",
    "deep_research": "40 euros",
    "browser_automation": "40 euros",
    "azure_ai_search": "40 euros",
    "bing_grounding": "40 euros",
    "bing_custom_search": "40 euros",
    "sharepoint_grounding": "40 euros",
    "fabric_dataagent": "40 euros",
    "web_search": "40 euros",
    "a2a": "40 euros",
    "a2a_preview": "40 euros",
}
"""What the answer then holds: it could only come from the tool."""

RESEARCH: list[dict[str, Any]] = [
    {
        "when": {"schema": "research_plan", "instructions": "You plan research"},
        "reply": {"json": {"queries": ["the price of oak boards"]}},
    },
    {"when": {"schema": "research_plan"}, "reply": {"json": {"queries": []}}},
    {
        "when": {
            "instructions": "You write research reports",
            "message": r"(?P<fact>Oak boards cost [^.]*\.)",
        },
        "reply": {"text": "{{ groups.fact }}"},
    },
]
"""How the model plans, reviews and reports: from the passages that it is given."""


def browsing(page: str) -> list[dict[str, Any]]:
    """How the model operates a browser: it opens a page and tells what is on it."""
    operates = {"instructions": "You operate a web browser"}
    return [
        {
            "when": {**operates, "tool_results": False},
            "reply": {"tool_calls": [{"name": "open", "arguments": {"url": page}}]},
        },
        {
            "when": operates,
            "reply": {"tool_calls": [{"name": "done", "arguments": {"result": "{{ tool_results[-1] }}"}}]},
        },
    ]


RULES: dict[str, Any] = {
    "rules": [
        *RESEARCH,
        *(
            {
                "when": {"message": f"^use {kind}$", "tool_results": False},
                "reply": {"tool_calls": [{"name": name, "arguments": arguments}]},
            }
            for kind, (name, arguments) in TOOL_CALLS.items()
        ),
        {
            "when": {"message": "^use file_search$"},
            "reply": {"text": "Oak boards cost 40 euros a square metre."},
        },
        {
            "when": {"message": "^use ", "tool_results": True},
            "reply": {"text": "Done: {{ tool_results[-1] }}"},
        },
        {
            "when": {"message": COUNT, "tool_results": False},
            "reply": {"tool_calls": [{"name": "stock_level", "arguments": {"item": "oak"}}]},
        },
        {"when": {"message": COUNT}, "reply": {"text": "There are {{ results[0].pieces }} pieces."}},
        {"when": {"message": SLOW}, "delay": 30, "reply": {"text": "At last."}},
    ],
    "default": {"reply": {"text": ANSWER}, "chunk": 4},
}
