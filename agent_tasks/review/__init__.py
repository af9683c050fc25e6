"""The review desk: people decide about documents that the agents were unsure of, and about steps that ask.

What waits, with its evidence, is listed by `list_items`; decisions are functions; `agent-tasks review` is the
same as commands, and as a page.
"""

from agent_tasks.review.decisions import approve, correct, hold, leave, reject, release, send_back, undo
from agent_tasks.review.desk import Desk, open_desk
from agent_tasks.review.items import Filter, Item, find_item, history, list_items
from agent_tasks.review.publishing import publish, publish_all

__all__ = [
    "Desk",
    "Filter",
    "Item",
    "approve",
    "correct",
    "find_item",
    "history",
    "hold",
    "leave",
    "list_items",
    "open_desk",
    "publish",
    "publish_all",
    "reject",
    "release",
    "send_back",
    "undo",
]
