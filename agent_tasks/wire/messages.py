"""Messages: content, annotations, attachments, and the deltas of a stream."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from agent_tasks.wire.base import ByType, DeletionStatus, Metadata, Open, UnixTime, WireModel
from agent_tasks.wire.tool_resources import VectorStoreDataSource
from agent_tasks.wire.tools import (
    CodeInterpreterToolDefinition,
    FileSearchToolDefinition,
    ToolDefinition,
)

__all__ = [
    "AnyMessageContent",
    "AnyMessageDeltaContent",
    "AnyMessageDeltaTextAnnotation",
    "AnyMessageInputContentBlock",
    "AnyMessageTextAnnotation",
    "ImageDetailLevel",
    "MessageAttachment",
    "MessageAttachmentToolDefinition",
    "MessageBlockType",
    "MessageContent",
    "MessageDeletionStatus",
    "MessageDelta",
    "MessageDeltaChunk",
    "MessageDeltaContent",
    "MessageDeltaImageFileContent",
    "MessageDeltaImageFileContentObject",
    "MessageDeltaTextAnnotation",
    "MessageDeltaTextContent",
    "MessageDeltaTextContentObject",
    "MessageDeltaTextFileCitationAnnotation",
    "MessageDeltaTextFileCitationAnnotationObject",
    "MessageDeltaTextFilePathAnnotation",
    "MessageDeltaTextFilePathAnnotationObject",
    "MessageDeltaTextUrlCitationAnnotation",
    "MessageDeltaTextUrlCitationDetails",
    "MessageImageFileContent",
    "MessageImageFileDetails",
    "MessageImageFileParam",
    "MessageImageUrlContent",
    "MessageImageUrlParam",
    "MessageIncompleteDetails",
    "MessageIncompleteDetailsReason",
    "MessageInputContent",
    "MessageInputContentBlock",
    "MessageInputImageFileBlock",
    "MessageInputImageUrlBlock",
    "MessageInputTextBlock",
    "MessageRole",
    "MessageStatus",
    "MessageTextAnnotation",
    "MessageTextContent",
    "MessageTextDetails",
    "MessageTextFileCitationAnnotation",
    "MessageTextFileCitationDetails",
    "MessageTextFilePathAnnotation",
    "MessageTextFilePathDetails",
    "MessageTextUrlCitationAnnotation",
    "MessageTextUrlCitationDetails",
    "ThreadMessage",
    "ThreadMessageOptions",
]


class MessageRole(StrEnum):
    """Who wrote a message."""

    USER = "user"
    ASSISTANT = "assistant"


class MessageStatus(StrEnum):
    """How far a message has come."""

    IN_PROGRESS = "in_progress"
    INCOMPLETE = "incomplete"
    COMPLETED = "completed"


class MessageIncompleteDetailsReason(StrEnum):
    """Reasons why a message is incomplete."""

    CONTENT_FILTER = "content_filter"
    MAX_TOKENS = "max_tokens"
    RUN_CANCELLED = "run_cancelled"
    RUN_FAILED = "run_failed"
    RUN_EXPIRED = "run_expired"


class MessageIncompleteDetails(WireModel):
    """Why a message was cut off."""

    reason: Open[MessageIncompleteDetailsReason]


class ImageDetailLevel(StrEnum):
    """How closely a model looks at an image."""

    AUTO = "auto"
    LOW = "low"
    HIGH = "high"


class MessageBlockType(StrEnum):
    """Kinds of parts of a message that is sent."""

    TEXT = "text"
    IMAGE_FILE = "image_file"
    IMAGE_URL = "image_url"


# --- what a caller writes --------------------------------------------------------------------------------


class MessageImageFileParam(WireModel):
    """An image among the uploaded files."""

    file_id: str
    detail: Open[ImageDetailLevel] | None = None


class MessageImageUrlParam(WireModel):
    """An image by its address, or as a `data:` address with base64."""

    url: str
    detail: Open[ImageDetailLevel] | None = None


class MessageInputContentBlock(WireModel):
    """A part of a message; stands for unknown kinds."""

    type: str


class MessageInputTextBlock(MessageInputContentBlock):
    """Text."""

    type: Literal["text"] = "text"
    text: str


class MessageInputImageFileBlock(MessageInputContentBlock):
    """An image by its file id."""

    type: Literal["image_file"] = "image_file"
    image_file: MessageImageFileParam


class MessageInputImageUrlBlock(MessageInputContentBlock):
    """An image by its address."""

    type: Literal["image_url"] = "image_url"
    image_url: MessageImageUrlParam


AnyMessageInputContentBlock = Annotated[
    MessageInputTextBlock | MessageInputImageFileBlock | MessageInputImageUrlBlock | MessageInputContentBlock,
    ByType(),
]

MessageInputContent = str | list[AnyMessageInputContentBlock]
"""Plain text, or parts."""

MessageAttachmentToolDefinition = Annotated[
    CodeInterpreterToolDefinition | FileSearchToolDefinition | ToolDefinition, ByType()
]


class MessageAttachment(WireModel):
    """A file of a message and the tools that may use it."""

    file_id: str | None = None
    data_source: VectorStoreDataSource | None = None
    tools: list[MessageAttachmentToolDefinition] = Field(default_factory=list)


class ThreadMessageOptions(WireModel):
    """A message to add to a thread."""

    role: Open[MessageRole]
    content: MessageInputContent
    attachments: list[MessageAttachment] | None = None
    metadata: Metadata | None = None


# --- what the service answers ----------------------------------------------------------------------------


class MessageTextFileCitationDetails(WireModel):
    """The cited file. Recorded: `quote` is absent."""

    file_id: str
    quote: str | None = None


class MessageTextFilePathDetails(WireModel):
    """A file that the code interpreter made."""

    file_id: str


class MessageTextUrlCitationDetails(WireModel):
    """The cited page."""

    url: str
    title: str | None = None


class MessageTextAnnotation(WireModel):
    """A mark in the text (`text` is the mark itself); stands for unknown kinds."""

    type: str
    text: str | None = None
    start_index: int | None = None
    """Characters from the start of the text."""
    end_index: int | None = None


class MessageTextFileCitationAnnotation(MessageTextAnnotation):
    """The text rests on a file."""

    type: Literal["file_citation"] = "file_citation"
    file_citation: MessageTextFileCitationDetails


class MessageTextFilePathAnnotation(MessageTextAnnotation):
    """The text names a file that was made."""

    type: Literal["file_path"] = "file_path"
    file_path: MessageTextFilePathDetails


class MessageTextUrlCitationAnnotation(MessageTextAnnotation):
    """The text rests on a page."""

    type: Literal["url_citation"] = "url_citation"
    url_citation: MessageTextUrlCitationDetails


AnyMessageTextAnnotation = Annotated[
    MessageTextFileCitationAnnotation
    | MessageTextFilePathAnnotation
    | MessageTextUrlCitationAnnotation
    | MessageTextAnnotation,
    ByType(),
]


class MessageTextDetails(WireModel):
    """Text and its annotations."""

    value: str
    annotations: list[AnyMessageTextAnnotation] = Field(default_factory=list)


class MessageImageFileDetails(WireModel):
    """An image among the files."""

    file_id: str
    detail: Open[ImageDetailLevel] | None = None


class MessageContent(WireModel):
    """A part of a message; stands for unknown kinds."""

    type: str


class MessageTextContent(MessageContent):
    """Text."""

    type: Literal["text"] = "text"
    text: MessageTextDetails


class MessageImageFileContent(MessageContent):
    """An image by its file id."""

    type: Literal["image_file"] = "image_file"
    image_file: MessageImageFileDetails


class MessageImageUrlContent(MessageContent):
    """An image by its address, as the caller sent it (absent from the spec)."""

    type: Literal["image_url"] = "image_url"
    image_url: MessageImageUrlParam


AnyMessageContent = Annotated[
    MessageTextContent | MessageImageFileContent | MessageImageUrlContent | MessageContent, ByType()
]


class ThreadMessage(WireModel):
    """A message of a thread.

    Recorded: REST bodies omit `status`, `completed_at` and `incomplete_*`; bodies in a stream carry them.
    """

    id: str
    object: str = "thread.message"
    created_at: UnixTime
    thread_id: str
    status: Open[MessageStatus] | None = None
    incomplete_details: MessageIncompleteDetails | None = None
    completed_at: UnixTime | None = None
    incomplete_at: UnixTime | None = None
    role: Open[MessageRole]
    content: list[AnyMessageContent] = Field(default_factory=list)
    assistant_id: str | None = None
    run_id: str | None = None
    attachments: list[MessageAttachment] | None = None
    metadata: Metadata | None = None

    @property
    def text(self) -> str:
        """The text parts, joined; citation marks stay in it (`replace_citations` shows them)."""
        return "".join(part.text.value for part in self.text_messages)

    @property
    def text_messages(self) -> list[MessageTextContent]:
        """The text parts."""
        return [part for part in self.content if isinstance(part, MessageTextContent)]

    @property
    def image_contents(self) -> list[MessageImageFileContent]:
        """The parts that are image files, such as the code interpreter makes."""
        return [part for part in self.content if isinstance(part, MessageImageFileContent)]

    @property
    def file_citation_annotations(self) -> list[MessageTextFileCitationAnnotation]:
        """What the text says of the files that it rests on."""
        return [mark for mark in self._annotations() if isinstance(mark, MessageTextFileCitationAnnotation)]

    @property
    def file_path_annotations(self) -> list[MessageTextFilePathAnnotation]:
        """What the text says of the files that were made."""
        return [mark for mark in self._annotations() if isinstance(mark, MessageTextFilePathAnnotation)]

    @property
    def url_citation_annotations(self) -> list[MessageTextUrlCitationAnnotation]:
        """What the text says of the pages that it rests on."""
        return [mark for mark in self._annotations() if isinstance(mark, MessageTextUrlCitationAnnotation)]

    def _annotations(self) -> list[MessageTextAnnotation]:
        return [mark for part in self.text_messages for mark in part.text.annotations]


class MessageDeletionStatus(DeletionStatus):
    """Answer of the deletion of a message (preview)."""

    object: str = "thread.message.deleted"


# --- deltas ----------------------------------------------------------------------------------------------


class MessageDeltaTextFileCitationAnnotationObject(WireModel):
    """The cited file."""

    file_id: str | None = None
    quote: str | None = None


class MessageDeltaTextFilePathAnnotationObject(WireModel):
    """A file that the code interpreter made."""

    file_id: str | None = None


class MessageDeltaTextUrlCitationDetails(WireModel):
    """The cited page."""

    url: str | None = None
    title: str | None = None


class MessageDeltaTextAnnotation(WireModel):
    """A new or changed annotation, by its place in the list; stands for unknown kinds."""

    index: int | None = None
    type: str | None = None
    text: str | None = None
    start_index: int | None = None
    end_index: int | None = None


class MessageDeltaTextFileCitationAnnotation(MessageDeltaTextAnnotation):
    """The text rests on a file."""

    type: Literal["file_citation"] = "file_citation"
    file_citation: MessageDeltaTextFileCitationAnnotationObject | None = None


class MessageDeltaTextFilePathAnnotation(MessageDeltaTextAnnotation):
    """The text names a file that was made."""

    type: Literal["file_path"] = "file_path"
    file_path: MessageDeltaTextFilePathAnnotationObject | None = None


class MessageDeltaTextUrlCitationAnnotation(MessageDeltaTextAnnotation):
    """The text rests on a page."""

    type: Literal["url_citation"] = "url_citation"
    url_citation: MessageDeltaTextUrlCitationDetails | None = None


AnyMessageDeltaTextAnnotation = Annotated[
    MessageDeltaTextFileCitationAnnotation
    | MessageDeltaTextFilePathAnnotation
    | MessageDeltaTextUrlCitationAnnotation
    | MessageDeltaTextAnnotation,
    ByType(),
]


class MessageDeltaTextContentObject(WireModel):
    """More text. Recorded: only the first delta of a message carries `annotations: []`."""

    value: str | None = None
    annotations: list[AnyMessageDeltaTextAnnotation] | None = None


class MessageDeltaImageFileContentObject(WireModel):
    """An image among the files."""

    file_id: str | None = None


class MessageDeltaContent(WireModel):
    """More of one part, by its place in the message; stands for unknown kinds."""

    index: int | None = None
    type: str | None = None


class MessageDeltaTextContent(MessageDeltaContent):
    """More text."""

    type: Literal["text"] = "text"
    text: MessageDeltaTextContentObject | None = None


class MessageDeltaImageFileContent(MessageDeltaContent):
    """An image."""

    type: Literal["image_file"] = "image_file"
    image_file: MessageDeltaImageFileContentObject | None = None


AnyMessageDeltaContent = Annotated[
    MessageDeltaTextContent | MessageDeltaImageFileContent | MessageDeltaContent, ByType()
]


class MessageDelta(WireModel):
    """What a delta adds."""

    role: Open[MessageRole] | None = None
    content: list[AnyMessageDeltaContent] = Field(default_factory=list)


class MessageDeltaChunk(WireModel):
    """One delta of a message in a stream."""

    id: str
    object: str = "thread.message.delta"
    delta: MessageDelta

    @property
    def text(self) -> str:
        """The text that this delta adds."""
        parts = (part.text for part in self.delta.content if isinstance(part, MessageDeltaTextContent))
        return "".join(part.value or "" for part in parts if part is not None)
