"""Forgetting what is old in the journal: see `agent_tasks.journal.pruning`."""

from __future__ import annotations

import time

from agent_tasks.errors import ConfigurationError
from agent_tasks.journal import Journal
from agent_tasks.journal.pruning import Pruned

__all__ = ["Pruned", "prune_journal"]

_DAY = 86_400.0
FEWEST_DAYS = 1.0
"""Whatever is younger may belong to a run that is about to resume."""


async def prune_journal(journal: Journal, days: float, *, dry_run: bool = True) -> Pruned:
    """Forget what has ended more than so many days ago.

    Args:
        journal: the journal, open.
        days: how old it has to be; at least one.
        dry_run: only say how much there is.

    Raises:
        ConfigurationError: the days are too few.
        JournalError: the journal can't be used; what is forgotten already stays so.
    """
    if not days >= FEWEST_DAYS:
        raise ConfigurationError(
            f"{days:g} days are too few: what is younger than a day may belong to a run that resumes.",
            setting="days",
        )
    return await journal.pruning.prune(time.time() - days * _DAY, dry_run=dry_run)
