"""Versions of agents: immutable, numbered from 1, never with a number that was used before."""

from __future__ import annotations

import re
import sqlite3
import uuid

from agents_emulator import validation
from agents_emulator.engine.lifecycle import now
from agents_emulator.engine.responses.refusals import invalid_payload
from agents_emulator.responses.definitions import checked_definition, shown_definition
from agents_emulator.store import AGENT_NUMBERS, AGENT_VERSIONS, NAMED_AGENTS, Page, Record

MAX_VERSIONS = 1000
MAX_DESCRIPTION = 512
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")


def add_version(db: sqlite3.Connection, name: str, body: Record) -> Record:
    """Add a version of an agent, and the agent if there is none of this name."""
    fields = _fields(body)
    if _NAME.fullmatch(name) is None:
        raise invalid_payload(
            "A name has up to 63 letters, digits and hyphens, and begins and ends with a letter or digit.",
            "name",
        )
    if AGENT_VERSIONS.count(db, name) >= MAX_VERSIONS:
        raise invalid_payload(f"An agent has {MAX_VERSIONS} versions at most. Delete some.", "name")
    counter = AGENT_NUMBERS.find(db, name)
    number = str((counter or {"last": 0})["last"] + 1)
    version: Record = {
        "id": f"{name}:{number}",
        "name": name,
        "version": number,
        "created_at": now(),
        **fields,
    }
    if counter is None:
        AGENT_NUMBERS.insert(db, {"id": name, "last": int(number), "guid": str(uuid.uuid4())})
    else:
        AGENT_NUMBERS.put(db, {**counter, "last": int(number)})
    version["guid"] = str(uuid.uuid4()) if counter is None else counter["guid"]
    agent, kind = NAMED_AGENTS.find(db, name), version["definition"]["kind"]
    if agent is None:
        NAMED_AGENTS.insert(db, {"id": name, "name": name, "disabled": False, "endpoint": None, "kind": kind})
    elif agent["kind"] != kind:
        NAMED_AGENTS.put(db, {**agent, "kind": kind})
    AGENT_VERSIONS.insert(db, version, name)
    return version


def _fields(body: Record) -> Record:
    description = body.get("description") or ""
    if not isinstance(description, str) or len(description) > MAX_DESCRIPTION:
        raise invalid_payload(f"A description has up to {MAX_DESCRIPTION} characters.", "description")
    return {
        "description": description,
        "metadata": validation.check_metadata(body.get("metadata")),
        "definition": checked_definition(body.get("definition")),
    }


def same_version(version: Record, body: Record) -> bool:
    """Whether a request would make the version that there is already."""
    return all(version[key] == value for key, value in _fields(body).items())


def latest_version(db: sqlite3.Connection, name: str) -> Record | None:
    """Return the newest version that is left of an agent."""
    versions, _ = AGENT_VERSIONS.page(db, Page(limit=1), name)
    return versions[0] if versions else None


def version_body(version: Record) -> Record:
    """Return a version in the recorded key order."""
    return {
        "metadata": version["metadata"],
        "object": "agent.version",
        "id": version["id"],
        "name": version["name"],
        "version": version["version"],
        "description": version["description"],
        "created_at": version["created_at"],
        "definition": shown_definition(version["definition"]),
        "status": "active",
        "agent_guid": version["guid"],
    }
