"""For whom a flow run works, in the journal: a hook that ends the run has to know nothing else."""

from __future__ import annotations

from agent_tasks.journal import Claim, Journal
from agent_tasks.operations.keys import operation_key

__all__ = ["note_owner", "noted_owner"]

_KIND = "flow-run"
_SCOPE = "flow runs"  # of the journal as a whole: whoever looks need not reach a service


async def note_owner(journal: Journal, run_id: str, owner: str) -> None:
    """Commit, before it makes anything, for whom a flow run works; a run that is started again may say anew.

    Raises:
        JournalError: the journal can't be written.
    """
    key, noted = operation_key(_KIND, run=run_id), {"owner": owner}
    claimed = await journal.claim(_SCOPE, key, _KIND, {"run": run_id})
    if claimed.claim is Claim.DONE and claimed.operation.result != noted:
        await journal.release(_SCOPE, key)
        claimed = await journal.claim(_SCOPE, key, _KIND, {"run": run_id})
    if claimed.claim is not Claim.DONE:
        await journal.finish(_SCOPE, key, noted)


async def noted_owner(journal: Journal, run_id: str) -> str | None:
    """For whom a flow run works; None if it came to nothing before it could make anything.

    Raises:
        JournalError: the journal can't be read.
    """
    found = await journal.operation(_SCOPE, operation_key(_KIND, run=run_id))
    return found.result["owner"] if found is not None and found.result else None
