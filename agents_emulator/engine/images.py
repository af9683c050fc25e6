"""Images of messages, as bytes for a model that sees: uploaded files, data URLs, addresses."""

from __future__ import annotations

import asyncio
import base64
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx

from agent_tasks.bounded import ACCEPT_ENCODING, TooLargeError, read_at_most
from agent_tasks.redaction import redacted
from agents_emulator.addresses import is_loopback, is_public
from agents_emulator.models.base import ImagePart
from agents_emulator.store import FILES, Record, Store
from agents_emulator.tools.settings import ToolSettings

MAX_IMAGE_BYTES = 20 * 1024 * 1024
MAX_IMAGES = 50
MAX_REDIRECTS = 3
_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)


class ImageError(Exception):
    """An image cannot be had; becomes `last_error` of the run, without the signature of its address."""

    def __init__(self, message: str) -> None:
        super().__init__(redacted(message))


def media_type(content: bytes) -> str | None:
    """Return the type of an image by its first bytes: PNG, JPEG, GIF or WebP; None for anything else."""
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for signature, kind in _SIGNATURES if content.startswith(signature)), None)


class Images:
    """Loads the images of content blocks."""

    def __init__(
        self,
        store: Store,
        files_dir: Path,
        settings: ToolSettings,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._store = store
        self._files_dir = files_dir
        self._settings = settings
        self._transport = transport

    async def load(self, blocks: Sequence[Record]) -> tuple[ImagePart, ...]:
        """Return the images among content blocks, in order. Raises `ImageError`."""
        wanted = [block for block in blocks if block["type"] in ("image_file", "image_url")]
        if len(wanted) > MAX_IMAGES:
            raise ImageError(f"A message may hold {MAX_IMAGES} images, but this one holds {len(wanted)}.")
        return tuple([await self._load(block) for block in wanted])

    async def _load(self, block: Record) -> ImagePart:
        details = block[block["type"]]
        if block["type"] == "image_file":
            name, content = f"file {details['file_id']}", await self._file(details["file_id"])
        elif details["url"].startswith("data:"):
            name, content = "data URL", _data_url(details["url"])
        else:
            name, content = details["url"], await self._fetch(details["url"])
        kind = media_type(content)
        if kind is None:
            raise ImageError(f"The image {name[:200]} is no PNG, JPEG, GIF or WebP.")
        return ImagePart(kind, content, details.get("detail") or "auto")

    async def _file(self, file_id: str) -> bytes:
        file = await self._store.read(lambda db: FILES.find(db, file_id))
        if file is None:
            raise ImageError(f"The image file {file_id} was deleted.")
        _check_size(file["bytes"], file_id)
        try:
            return await asyncio.to_thread((self._files_dir / file_id).read_bytes)
        except FileNotFoundError as error:
            raise ImageError(f"The image file {file_id} was deleted.") from error

    async def _fetch(self, address: str) -> bytes:
        """Fetch an image; every redirect is checked like the first address."""
        limit = httpx.Timeout(self._settings.request_seconds)
        try:
            async with (
                asyncio.timeout(self._settings.request_seconds),
                httpx.AsyncClient(timeout=limit, transport=self._transport, trust_env=False) as client,
            ):
                url = httpx.URL(address)
                for _ in range(MAX_REDIRECTS + 1):
                    async with client.stream("GET", **await self._target(url)) as response:
                        if response.is_redirect:
                            url = url.join(response.headers.get("location", ""))
                            continue
                        if response.status_code != httpx.codes.OK:
                            raise ImageError(f"The image {address[:200]} answered {response.status_code}.")
                        return await _content(response, address)
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            raise ImageError(
                f"The image {address[:200]} cannot be fetched: {type(error).__name__}."
            ) from error
        raise ImageError(f"The image {address[:200]} leads to more than {MAX_REDIRECTS} other addresses.")

    async def _target(self, url: httpx.URL) -> dict[str, Any]:
        """Return the request for an address: to the very IP address that was checked.

        Raises `ImageError`, and OSError for a name that does not resolve.
        """
        if url.scheme not in ("http", "https") or not url.host:
            raise ImageError(f"The image address {str(url)[:200]} is neither http nor https.")
        found = await asyncio.get_running_loop().getaddrinfo(
            url.host, url.port or (443 if url.scheme == "https" else 80), type=socket.SOCK_STREAM
        )
        addresses = [str(item[4][0]) for item in found]
        for address in addresses:
            here = self._settings.allow_loopback_images and is_loopback(address)
            if not here and not is_public(address):
                raise ImageError(
                    f"The image address {str(url)[:200]} is not public. Upload the image; or, if it is on "
                    "this machine, start the service with allow_loopback_images in its tools file."
                )
        return {
            "url": url.copy_with(host=addresses[0]),
            "headers": {"Host": url.netloc.decode("ascii"), "Accept-Encoding": ACCEPT_ENCODING},
            "extensions": {"sni_hostname": url.host},
        }


async def _content(response: httpx.Response, address: str) -> bytes:
    try:
        return await read_at_most(response, MAX_IMAGE_BYTES)
    except TooLargeError as error:
        raise ImageError(
            f"The image {address[:200]} is larger than {MAX_IMAGE_BYTES // 1024**2} MB or can't be unpacked: "
            f"{error}."
        ) from error


def _check_size(size: int, name: str) -> None:
    if size > MAX_IMAGE_BYTES:
        raise ImageError(f"The image {name[:200]} is larger than {MAX_IMAGE_BYTES // 1024**2} MB.")


def _data_url(url: str) -> bytes:
    head, comma, text = url.partition(",")
    if not comma or not head.endswith(";base64"):
        raise ImageError("A data URL of an image must be 'data:image/...;base64,...'.")
    _check_size(len(text) * 3 // 4, "data URL")
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as error:
        raise ImageError(f"The data URL of an image is not base64: {error}.") from error
