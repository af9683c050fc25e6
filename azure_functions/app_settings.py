"""The app settings (environment) of this Function App, read when they are needed."""

from __future__ import annotations

import os


class SettingError(RuntimeError):
    """An app setting is missing or not usable; the message names it and the remedy."""


CONNECTION = "STORAGE"
"""Prefix of the app settings that say where queues, tables and blobs are: see `storage.py`."""


def text(name: str, default: str) -> str:
    """A setting; one that is empty counts as not set."""
    return os.environ.get(name) or default


def number(name: str, default: float) -> float:
    """A setting that is a number above 0. Raises SettingError."""
    given = os.environ.get(name)
    if not given:
        return default
    try:
        value = float(given)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise SettingError(f"the app setting {name} is {given!r}; give a number above 0")
    return value


def call_deadline() -> float:
    """`CALL_DEADLINE_SECONDS`: how long a caller waits at most, since its message was inserted; 1800 s.

    Runs of the agents service have been seen to live for 600 to 1800 s; the longest decides, since an answer
    that comes for nothing is cheaper than one that is missing.
    """
    return number("CALL_DEADLINE_SECONDS", 1800.0)


def answer_lifetime() -> float:
    """`ANSWER_LIFETIME_SECONDS`: how long a first answer is kept for duplicates; 7 days.

    As long as a queue keeps a message by default: no duplicate can come later.
    """
    return number("ANSWER_LIFETIME_SECONDS", 7 * 24 * 3600.0)


def claim_lease() -> float:
    """`CLAIM_LEASE_SECONDS`: how long a host that gives no sign keeps its calls to itself; 60 s."""
    return number("CLAIM_LEASE_SECONDS", 60.0)


def answers_table() -> str:
    """`ANSWERS_TABLE`: the table of first answers; it is made if it is not there."""
    return text("ANSWERS_TABLE", "queuetoolanswers")


def values_container() -> str:
    """`LARGE_VALUES_CONTAINER`: the blob container of values too large for a queue; made if not there."""
    return text("LARGE_VALUES_CONTAINER", "queue-tool-values")


def documents_container() -> str:
    """`DOCUMENTS_CONTAINER`: the one container from which `read_document` reads."""
    return text("DOCUMENTS_CONTAINER", "documents")
