"""Files of the service: their records, and their content below the data directory, under ids, never names."""

from __future__ import annotations

import os
import secrets
import shutil
import time
from pathlib import Path
from typing import BinaryIO

from agents_emulator.ids import new_file_id
from agents_emulator.private import open_private
from agents_emulator.store import Record

CHUNK_BYTES = 256 * 1024


def new_file(filename: str, size: int, purpose: str) -> Record:
    """Return the record of a new file of `size` bytes, in the recorded key order."""
    return {
        "object": "file",
        "id": new_file_id(),
        "purpose": purpose,
        "filename": filename,
        "bytes": size,
        "created_at": int(time.time()),
        "expires_at": None,
        "status": "processed",
        "status_details": None,
    }


def new_container_file(container_id: str, name: str, size: int, source: str) -> Record:
    """Return the record of a new file of a container; `source` is `user` or `assistant`."""
    return {
        "id": f"cfile_{secrets.token_hex(16)}",
        "object": "container.file",
        "created_at": int(time.time()),
        "bytes": size,
        "container_id": container_id,
        "path": f"/mnt/data/{name}",
        "source": source,
        "filename": name,
    }


def keep(source: BinaryIO, path: Path) -> int:
    """Copy a content to its place, where it appears complete or not at all; returns its bytes. Blocks."""
    partial = path.with_suffix(".partial")
    source.seek(0)
    with open_private(partial) as target:
        shutil.copyfileobj(source, target, CHUNK_BYTES)
        target.flush()
        os.fsync(target.fileno())
        size = target.tell()
    partial.replace(path)
    return size
