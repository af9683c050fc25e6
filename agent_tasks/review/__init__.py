"""The review desk: people decide about documents that the agents were unsure of, and about steps that ask.

What waits, with its evidence, is listed by `list_items`; decisions are functions; `agent-tasks review` is the
same as commands, and as a page.
"""

from agent_tasks.review.decisions import approve, correct, hold, leave, reject, release, send_back, undo
from agent_tasks.review.desk import Desk, open_desk
from agent_tasks.review.items import Filter, Item, find_item, history, list_items
from agent_tasks.review.publishing import publish, publish_all
from agent_tasks.review.questions import answer, decided_questions, find_question, list_questions

__all__ = [
    "Desk",
    "Filter",
    "Item",
    "answer",
    "approve",
    "correct",
    "decided_questions",
    "find_item",
    "find_question",
    "history",
    "hold",
    "leave",
    "list_items",
    "list_questions",
    "open_desk",
    "publish",
    "publish_all",
    "reject",
    "release",
    "send_back",
    "undo",
]
