"""What was said in the turns about a document, for whoever looks at it at the desk."""

from __future__ import annotations

from agent_tasks.batch.context import owner_of_part
from agent_tasks.errors import UnknownReviewError
from agent_tasks.journal import Transcript
from agent_tasks.operations import TranscriptBody
from agent_tasks.review.desk import Desk
from agent_tasks.review.items import Item

__all__ = ["MAX_TURNS", "Turn", "find_turn", "turns_of"]

MAX_TURNS = 50
"""Turns of a document that are listed, the latest."""

Turn = tuple[Transcript, TranscriptBody]
"""A transcript, and what it holds."""


async def turns_of(desk: Desk, item: Item) -> list[Turn]:
    """The transcripts of the turns about a document that are kept, in the order in which the turns ended.

    Raises:
        JournalError: the journal can't be read.
    """
    owner = owner_of_part(item.batch.owner, item.document)
    found = await desk.journal.transcripts.of(desk.scope, owner, limit=MAX_TURNS)
    return [(one, one.read(TranscriptBody)) for one in reversed(found) if one.owner == owner]


async def find_turn(desk: Desk, item: Item, key: str) -> Turn:
    """The transcript of one of them; what was said about other documents is not found here.

    Args:
        desk: where.
        item: the document.
        key: the turn's whole key.

    Raises:
        UnknownReviewError: there is none of that key about this document, or it is not kept any more.
        JournalError: the journal can't be read.
    """
    for one in await desk.journal.transcripts.get(desk.scope, key):
        if one.key == key and one.owner == owner_of_part(item.batch.owner, item.document):
            return one, one.read(TranscriptBody)
    raise UnknownReviewError(
        f"Nothing is kept of a turn {key[:12]} about {item.document}. What was said is deleted after "
        "AGENT_TASKS_TRANSCRIPT_DAYS."
    )
