"""How far an attempt at a turn can be, and what may come next."""

from __future__ import annotations

import enum
from typing import Final


class AttemptState(enum.StrEnum):
    """How far the current attempt at a turn is, as far as this process knows."""

    INTENDED = "intended"
    """The intent is committed, nothing is sent."""
    SENT = "sent"
    """The service may have it; the journal does not know its id."""
    ATTACHED = "attached"
    """The journal knows its id; it is followed."""
    NEEDS_OUTPUTS = "needs outputs"
    """It waits for functions that are called now, or for decisions that are made now."""
    ANSWERED = "answered"
    """It completed; its answer is not committed yet."""
    ENDED = "ended"
    """It ended without an answer; another attempt may follow."""
    REFUSED = "refused"
    """The service provably does not have it, and none will follow."""
    GIVEN_UP = "given up"
    """It was cancelled on the service, and none will follow."""


NEXT: Final[dict[AttemptState, set[AttemptState]]] = {
    AttemptState.INTENDED: {AttemptState.SENT},
    # Sent again when it is provably absent; anew when its conversation is gone.
    AttemptState.SENT: {
        AttemptState.SENT,
        AttemptState.ATTACHED,
        AttemptState.REFUSED,
        AttemptState.INTENDED,
    },
    # A turn that is gone from the service begins anew, or is refused in a conversation of the caller's.
    AttemptState.ATTACHED: {
        AttemptState.ATTACHED,
        AttemptState.NEEDS_OUTPUTS,
        AttemptState.ANSWERED,
        AttemptState.ENDED,
        AttemptState.REFUSED,
        AttemptState.INTENDED,
        AttemptState.SENT,
        AttemptState.GIVEN_UP,
    },
    AttemptState.NEEDS_OUTPUTS: {
        AttemptState.ATTACHED,
        AttemptState.REFUSED,
        AttemptState.INTENDED,
        AttemptState.SENT,
        AttemptState.GIVEN_UP,
    },
    AttemptState.ANSWERED: {AttemptState.GIVEN_UP},
    AttemptState.ENDED: {AttemptState.INTENDED},
    AttemptState.REFUSED: set(),
    AttemptState.GIVEN_UP: set(),
}

OVER: Final = {AttemptState.ENDED, AttemptState.REFUSED, AttemptState.GIVEN_UP}
