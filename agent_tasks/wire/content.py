"""Helpers for messages: parts and attachments to send, and answers with their citation marks replaced."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal
from urllib.parse import quote, urlsplit

from agent_tasks.wire.messages import (
    ImageDetailLevel,
    MessageAttachment,
    MessageImageFileParam,
    MessageImageUrlParam,
    MessageInputImageFileBlock,
    MessageInputImageUrlBlock,
    MessageInputTextBlock,
    MessageTextAnnotation,
    MessageTextContent,
    MessageTextDetails,
    MessageTextFileCitationAnnotation,
    MessageTextFilePathAnnotation,
    MessageTextUrlCitationAnnotation,
    ThreadMessage,
)
from agent_tasks.wire.tool_resources import VectorStoreDataSource, VectorStoreDataSourceAssetType
from agent_tasks.wire.tools import CodeInterpreterToolDefinition, FileSearchToolDefinition

__all__ = [
    "asset_attachment",
    "attachment",
    "image_data_block",
    "image_data_url",
    "image_file_block",
    "image_url_block",
    "replace_citations",
    "text_block",
]

MAX_IMAGE_BYTES = 20 * 1024 * 1024
"""Bytes of an image that are sent within a message (the limit that models document)."""

Detail = ImageDetailLevel | Literal["auto", "low", "high"] | None
AttachmentTool = Literal["file_search", "code_interpreter"]

_TOOLS = {"file_search": FileSearchToolDefinition, "code_interpreter": CodeInterpreterToolDefinition}
# First bytes of the formats that models read.
_IMAGES = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "image/png"),
    (re.compile(rb"\xff\xd8\xff"), "image/jpeg"),
    (re.compile(rb"GIF8[79]a"), "image/gif"),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), "image/webp"),
)

# --- what is sent ----------------------------------------------------------------------------------------


def text_block(text: str) -> MessageInputTextBlock:
    """Text, as a part of a message."""
    return MessageInputTextBlock(text=text)


def image_file_block(file_id: str, *, detail: Detail = None) -> MessageInputImageFileBlock:
    """An uploaded image (purpose `assistants` or `vision`), as a part of a message."""
    fields = {"file_id": file_id} if detail is None else {"file_id": file_id, "detail": detail}
    return MessageInputImageFileBlock(image_file=MessageImageFileParam.model_validate(fields))


def image_url_block(url: str, *, detail: Detail = None) -> MessageInputImageUrlBlock:
    """An image by its address (https, or a `data:` address), as a part of a message."""
    fields = {"url": url} if detail is None else {"url": url, "detail": detail}
    return MessageInputImageUrlBlock(image_url=MessageImageUrlParam.model_validate(fields))


def image_data_block(
    image: bytes | os.PathLike[str], *, detail: Detail = None, max_bytes: int = MAX_IMAGE_BYTES
) -> MessageInputImageUrlBlock:
    """An image from memory or from disk, in the message itself (base64), as a part of a message.

    Raises ValueError for more than `max_bytes` and for what is no PNG, JPEG, GIF or WebP image by its first
    bytes; OSError for a file that cannot be read.
    """
    return image_url_block(image_data_url(image, max_bytes=max_bytes), detail=detail)


def image_data_url(image: bytes | os.PathLike[str], *, max_bytes: int = MAX_IMAGE_BYTES) -> str:
    """The `data:` address of an image; see `image_data_block`."""
    if isinstance(image, bytes):
        name, content = "the image", image[: max_bytes + 1]
    else:
        name = str(Path(image))
        with Path(image).open("rb") as file:
            content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise ValueError(f"{name} has more than {max_bytes} bytes: make it smaller, or upload it as a file")
    kind = next((kind for start, kind in _IMAGES if start.match(content)), None)
    if kind is None:
        raise ValueError(f"{name} is not a PNG, JPEG, GIF or WebP image")
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def attachment(file: str | VectorStoreDataSource, *tools: AttachmentTool) -> MessageAttachment:
    """A file for a message: the id of an uploaded one or a data source; and the tools that may use it."""
    if isinstance(file, str):
        return MessageAttachment(file_id=file, tools=_definitions(tools))
    return MessageAttachment(data_source=file, tools=_definitions(tools))


def asset_attachment(
    uri: str,
    *tools: AttachmentTool,
    type: VectorStoreDataSourceAssetType = VectorStoreDataSourceAssetType.URI_ASSET,
) -> MessageAttachment:
    """A file in the project's own storage for a message (enterprise file search), by its address or id."""
    return attachment(VectorStoreDataSource(uri=uri, type=type), *tools)


def _definitions(
    tools: tuple[AttachmentTool, ...],
) -> list[CodeInterpreterToolDefinition | FileSearchToolDefinition]:
    unknown = [tool for tool in tools if tool not in _TOOLS]
    if unknown or not tools:
        raise ValueError(f"name the tools of an attachment, among {', '.join(_TOOLS)}; not {unknown}")
    return [_TOOLS[tool]() for tool in tools]


# --- what is answered ------------------------------------------------------------------------------------


def replace_citations(
    answer: ThreadMessage | MessageTextDetails,
    names: Mapping[str, str] | None = None,
    *,
    style: Callable[[MessageTextAnnotation], str] | None = None,
) -> str:
    """The text of an answer, its citation marks (`【4:0†source】`) replaced by something to read.

    A cited file becomes `[name]`, a cited page a Markdown link, the path of a file that was made its name.
    `names` has names by file id; without one the id stands. `style` makes another text of an annotation.
    Marks are found where the annotation says, or by their own text where its position does not fit.
    """
    if isinstance(answer, ThreadMessage):
        parts = [part.text for part in answer.content if isinstance(part, MessageTextContent)]
        return "\n".join(replace_citations(part, names, style=style) for part in parts)
    text = answer.value
    shown = style or (lambda annotation: _shown(annotation, names or {}))
    placed: dict[int, tuple[int, str]] = {}
    elsewhere: list[tuple[str, str]] = []
    for annotation in answer.annotations:
        start, end, mark = annotation.start_index, annotation.end_index, annotation.text
        if start is not None and end is not None and mark and text[start:end] == mark:
            placed[start] = (end, shown(annotation))
        elif mark:
            elsewhere.append((mark, shown(annotation)))
    for mark, replacement in elsewhere:
        # One mark for each annotation, in order.
        at = text.find(mark)
        while at >= 0 and at in placed:
            at = text.find(mark, at + len(mark))
        if at >= 0:
            placed[at] = (at + len(mark), replacement)
    pieces: list[str] = []
    done = 0
    for start, (end, replacement) in sorted(placed.items()):
        if start >= done:
            pieces += [text[done:start], replacement]
            done = end
    return "".join([*pieces, text[done:]])


def _shown(annotation: MessageTextAnnotation, names: Mapping[str, str]) -> str:
    match annotation:
        case MessageTextFileCitationAnnotation(file_citation=cited):
            return f"[{names.get(cited.file_id, cited.file_id)}]"
        case MessageTextFilePathAnnotation(file_path=made):
            return names.get(made.file_id, made.file_id)
        case MessageTextUrlCitationAnnotation(url_citation=page):
            title = re.sub(r"([\[\]\\])", r"\\\1", " ".join((page.title or page.url).split()))
            if urlsplit(page.url).scheme not in ("http", "https"):
                return f"[{title}]"
            address = quote(page.url, safe="/:?#@!$&'*+,;=%~")
            return f"[{title}]({address})"
        case _:
            return annotation.text or ""
