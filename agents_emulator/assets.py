"""Assets of a workspace (data sources of type `uri_asset`), read from local folders.

`assets` of the tools file says what addresses stand for: each entry maps an address, or the beginning of
addresses up to a `/`, to a file or a folder. The longest one that fits decides. What follows it is looked up
name by name among the entries of the folder, so it never becomes a path: there is no `..`, and a link that
leads out of the folder leads nowhere. An asset that is used becomes a file of the service, once for each
state of the original; it is not in the list of files, since no client uploaded it.

A request is first gone through by `Assets.taken_in`, which notes in each data source the file that it is; the
operations then ask `source_file_ids`.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, cast
from urllib.parse import unquote

from agents_emulator.errors import ServiceError, bad_request
from agents_emulator.filestore import keep, new_file
from agents_emulator.store import FILES, Record, Store

MAX_ASSET_BYTES = 512 * 1024 * 1024
"""As for uploads."""
MAX_SOURCES = 500
"""Data sources of one request, as files of a batch."""
_SHOWN_CHARACTERS = 300
_TAKEN = "taken_as"
"""Key of a data source, not on the wire: the id of the file that the asset is to the service."""
_ELSEWHERE = ("tools", "content", "metadata", "response_format", "tool_choice")
"""Parts of requests that are the client's own and hold no data sources."""


class Assets:
    """The assets that the tools file maps."""

    def __init__(self, folders: Mapping[str, Path], store: Store, files_dir: Path) -> None:
        self._folders = dict(folders)
        self._store = store
        self._files_dir = files_dir
        self._taking = asyncio.Lock()

    async def take(self, uri: str, param: str) -> str:
        """Return the id of the file that an asset is to the service, read now if it is new or has changed.

        Raises the service's 400, naming `param` and the remedy, if no entry covers the address, or if what it
        names is not there, no file, or larger than 512 MB.
        """
        async with self._taking:
            try:
                source, name = await asyncio.to_thread(self._open, uri)
            except LookupError as error:
                raise _refused(uri, param, str(error)) from None
            with source:
                state = os.fstat(source.fileno())
                asset = {"uri": uri, "state": [state.st_size, state.st_mtime_ns]}
                known = await self._store.read(lambda db: _known(db, asset))
                if known is not None:
                    return known
                file = {**new_file(name, state.st_size, "assistants"), "asset": asset}
                # What was read counts, should it have changed meanwhile.
                file["bytes"] = await asyncio.to_thread(keep, source, self._files_dir / file["id"])
            await self._store.write(lambda db: FILES.insert(db, file))
        return str(file["id"])

    async def taken_in(self, body: Record) -> Record:
        """Return a request with every `uri_asset` in it read, wherever the schemas have data sources.

        Raises the service's 400 if one cannot be, or if there are more than 500.
        """
        found = list(_uri_assets(body, ""))
        if len(found) > MAX_SOURCES:
            raise bad_request(
                f"A request may have {MAX_SOURCES} data sources, but got {len(found)}.",
                param=found[MAX_SOURCES][0],
                code="array_above_max_length",
            )
        if not found:
            return body
        ids = {source["uri"]: await self.take(source["uri"], f"{param}.uri") for param, source in found}
        return cast("Record", _noted(body, ids))

    def _open(self, uri: str) -> tuple[BinaryIO, str]:
        """Open the file that an address names; returns it with its name.

        Raises `LookupError`, which says why there is none.
        """
        start, names = self._split(uri)
        root = self._folders[start].resolve()
        path = root
        for name in names:
            path = _entry(path, name)
        try:
            path = path.resolve()
        except (OSError, RuntimeError):
            raise LookupError("it is a link that leads nowhere") from None
        if path != root and not path.is_relative_to(root):
            raise LookupError("it leads out of its folder")
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise LookupError(f"it cannot be read ({error.strerror})") from None
        found = os.fstat(descriptor)
        why = "" if stat.S_ISREG(found.st_mode) else "it is no file"
        if found.st_size > MAX_ASSET_BYTES:
            why = f"it has {found.st_size} bytes, more than {MAX_ASSET_BYTES}"
        if why:
            os.close(descriptor)
            raise LookupError(why)
        return os.fdopen(descriptor, "rb"), path.name

    def _split(self, uri: str) -> tuple[str, list[str]]:
        """Return the longest mapped beginning of an address, and the names that follow it."""
        fitting = [
            start for start in self._folders if uri == start or uri.startswith(start.rstrip("/") + "/")
        ]
        if not fitting:
            raise LookupError("no entry of 'assets' in the tools file covers it")
        start = max(fitting, key=len)
        rest = uri.removeprefix(start.rstrip("/")).strip("/")
        return start, rest.split("/") if rest else []


def source_file_ids(sources: Sequence[Record] | None) -> list[str]:
    """Return the ids of the files behind data sources: an `id_asset` names one, a `uri_asset` became one."""
    return [source["uri"] if source["type"] == "id_asset" else source[_TAKEN] for source in sources or ()]


def attached_file_ids(attachment: Record) -> list[str]:
    """Return the ids of the files behind an attachment of a message."""
    if attachment.get("file_id"):
        return [attachment["file_id"]]
    source = attachment.get("data_source")
    return source_file_ids([source] if source else [])


def shown_attachment(attachment: Record) -> Record:
    """Return an attachment as published."""
    source = attachment.get("data_source")
    if not isinstance(source, dict) or _TAKEN not in source:
        return attachment
    return {**attachment, "data_source": {key: value for key, value in source.items() if key != _TAKEN}}


def _uri_assets(value: Any, where: str) -> Iterator[tuple[str, Record]]:
    """Yield the data sources of a request that are not ids of files, with their places."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _uri_assets(item, f"{where}[{index}]")
    elif isinstance(value, dict):
        for key, item in value.items():
            if key == "data_source" and isinstance(item, dict):
                yield from _checked(item, f"{where}.{key}".lstrip("."))
            elif key == "data_sources" and isinstance(item, list):
                for index, source in enumerate(item):
                    yield from _checked(source, f"{where}.{key}[{index}]".lstrip("."))
            elif key not in _ELSEWHERE:
                yield from _uri_assets(item, f"{where}.{key}".lstrip("."))


def _checked(source: Any, where: str) -> Iterator[tuple[str, Record]]:
    kind, uri = (source.get("type"), source.get("uri")) if isinstance(source, dict) else (None, None)
    if kind not in ("uri_asset", "id_asset") or not isinstance(uri, str):
        raise bad_request(
            f"Invalid '{where}': expected a data source with 'type' ('uri_asset' or 'id_asset') and 'uri'.",
            param=where,
            code="invalid_type",
        )
    if kind == "uri_asset":
        yield where, source


def _noted(value: Any, ids: Mapping[str, str]) -> Any:
    """Return a copy of a request with the file ids in its data sources."""
    if isinstance(value, list):
        return [_noted(item, ids) for item in value]
    if not isinstance(value, dict):
        return value
    if value.get("type") == "uri_asset" and value.get("uri") in ids:
        return {**value, _TAKEN: ids[value["uri"]]}
    return {key: item if key in _ELSEWHERE else _noted(item, ids) for key, item in value.items()}


def _entry(folder: Path, name: str) -> Path:
    """Return the entry of a folder that has this name, plain or with `%20` and the like."""
    wanted = {name, unquote(name)}
    try:
        found = sorted(entry for entry in os.listdir(folder) if entry in wanted)
    except OSError:
        found = []
    if not found:
        raise LookupError("there is no such file in the folder that 'assets' of the tools file names")
    return folder / found[0]


def _known(db: sqlite3.Connection, asset: Record) -> str | None:
    """Return the id of the file that an asset in this state already is."""
    for file in FILES.select(db, "", {"asset.uri": asset["uri"]}):
        if file["asset"] == asset:
            return str(file["id"])
    return None


def _refused(uri: str, param: str, why: str) -> ServiceError:
    return bad_request(
        f"The local service cannot read the asset '{uri[:_SHOWN_CHARACTERS]}': {why}. It has no Azure "
        "workspace: map the beginning of the address to a local folder in 'assets' of its tools file "
        "(--tools-file), or upload the file and name its id.",
        param=param,
        code="asset_not_found",
    )
