"""What is on this side: state folder, journal, and what people are asked in it."""

from __future__ import annotations

import shutil
import tempfile
import time

from agent_tasks.display import moment, several
from agent_tasks.doctor.findings import Finding, failed, ok, warning
from agent_tasks.errors import AgentTasksError
from agent_tasks.settings import Settings

MIN_FREE_BYTES = 500 * 1024 * 1024
"""Free space below which a state folder is warned of: the local service keeps databases and files there."""

OLD_DAYS = 7
"""Days after which a question to a person that nobody decided, or that nothing resumed with, is told of."""

_DAY = 86_400.0
_SCOPE = "agent-tasks doctor"


def check_state_folder(settings: Settings) -> Finding:
    """Whether the state folder can be written to, and has room."""
    check, folder = "state folder", settings.state_dir
    remedy = "Set AGENT_TASKS_STATE_DIR to a folder on a local disk that you may write to."
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=existing) as probe:
            probe.write(b"probe")
    except OSError as error:
        return failed(check, f"{existing} cannot be written to: {error.strerror or error}.", remedy)
    free = shutil.disk_usage(existing).free
    if free < MIN_FREE_BYTES:
        return warning(
            check, f"{folder} has only {free // 2**20} MiB of free space.", "Make room, or: " + remedy
        )
    made = "" if folder.exists() else "; it is made at the first run"
    return ok(check, f"{folder} can be written to, {free // 2**30} GiB are free{made}.")


async def check_approvals(settings: Settings) -> Finding:
    """Whether people are asked, and for how long some have been."""
    from agent_tasks.journal import DecisionState, Journal
    from agent_tasks.journal.databases import database_at

    check, look = "approvals", "agent-tasks approvals list"
    try:
        database = database_at(settings.journal_url.get_secret_value())
        if database.path is not None and not database.path.exists():
            return ok(check, "Nobody is asked.")
        async with Journal(settings.journal_url.get_secret_value()) as journal:
            asked = await journal.decisions.everywhere()
    except AgentTasksError as error:
        return failed(check, str(error), "See what is said of the journal.")
    now = time.time()
    waiting = [one for one in asked if one.state is DecisionState.WAITING]
    old = [one for one in waiting if now - one.asked_at > OLD_DAYS * _DAY]
    untaken = [one for one in asked if one.state is not DecisionState.WAITING]
    late = [one for one in untaken if now - (one.decided_at or now) > OLD_DAYS * _DAY]
    if old:
        return warning(
            check,
            f"{len(old)} of {len(waiting)} questions to people have waited for more than {OLD_DAYS} days, "
            f"the oldest since {moment(old[0].asked_at)} ({old[0].owner}).",
            f"Look at them ({look}); approve or reject them.",
        )
    if late:
        were = "was" if len(late) == 1 else "were"
        return warning(
            check,
            f"{several(len(late), 'decision')} of people {were} made more than {OLD_DAYS} days ago, and "
            f"nothing has resumed with them, such as {late[0].owner}.",
            "Start their runs again, or leave them: they cost nothing.",
        )
    wait = several(len(waiting), "question waits", "questions wait")
    return ok(check, f"{wait} for people: {look}." if waiting else "Nobody is asked.")


async def check_journal(settings: Settings) -> Finding:
    """Whether the journal opens, is of this version, and takes what is written. It is left as it was."""
    from agent_tasks.journal import DocumentRecord, Journal
    from agent_tasks.journal.databases import database_at
    from agent_tasks.journal.opening import revision
    from agent_tasks.journal.schema import SCHEMA_REVISION

    check, remedy = "journal", "See docs/durability.md; until the journal works, nothing is sent."
    try:
        database = database_at(settings.journal_url.get_secret_value())
        if database.path is not None and not database.path.exists():
            return ok(check, f"{database.path} is not there yet; it is made at the first run.")
        try:
            before = await database.read(revision)
        finally:
            await database.close()
        async with Journal(settings.journal_url.get_secret_value()) as journal:
            record = DocumentRecord(name="probe", content_hash="", fingerprint="", status="probe")
            await journal.documents.put(_SCOPE, "doctor", record)
            found = await journal.documents.get(_SCOPE, "doctor", "probe")
            await journal.documents.drop(_SCOPE, "doctor", "probe")
    except AgentTasksError as error:
        return failed(check, str(error), remedy)
    if found is None:
        return failed(check, f"What is written to {database.address} cannot be read again.", remedy)
    moved = f" (brought there from {before or 'an empty database'})" if before != SCHEMA_REVISION else ""
    return ok(check, f"{database.address} takes what is written; its schema is {SCHEMA_REVISION}{moved}.")
