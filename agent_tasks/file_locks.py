"""Locks on files that the kernel gives back when their process ends, however it ends."""

from __future__ import annotations

import fcntl

__all__ = ["try_lock"]


def try_lock(descriptor: int, kind: int = fcntl.LOCK_EX) -> bool:
    """Take a lock if it is free.

    Args:
        descriptor: of an open file.
        kind: `fcntl.LOCK_EX` or `fcntl.LOCK_SH`; one that is held already becomes this one.

    Returns:
        Whether it is held now; False: somebody else has it.
    """
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
