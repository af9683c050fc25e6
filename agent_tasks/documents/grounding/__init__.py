"""Grounding: is what the agent extracted really in the document, and where?

A value counts as found when the text has it in some usual spelling of the world's scripts. The check is
deterministic, costs no tokens and can't be talked out of its opinion; it does not know whether the value is
the right one of several.
"""

from agent_tasks.documents.grounding.records import (
    MAX_OCCURRENCES,
    Ambiguous,
    FieldGrounding,
    Ground,
    GroundingStatus,
    How,
    Leaf,
    Match,
)
from agent_tasks.documents.grounding.source import SourceText

__all__ = [
    "MAX_OCCURRENCES",
    "Ambiguous",
    "FieldGrounding",
    "Ground",
    "GroundingStatus",
    "How",
    "Leaf",
    "Match",
    "SourceText",
]
