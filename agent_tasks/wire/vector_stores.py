"""Vector stores, their files and file batches."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from agent_tasks.wire.base import ByType, DeletionStatus, Metadata, Open, UnixTime, WireModel

__all__ = [
    "AnyChunkingStrategyRequest",
    "AnyChunkingStrategyResponse",
    "VectorStore",
    "VectorStoreAutoChunkingStrategyRequest",
    "VectorStoreAutoChunkingStrategyResponse",
    "VectorStoreChunkingStrategyRequest",
    "VectorStoreChunkingStrategyRequestType",
    "VectorStoreChunkingStrategyResponse",
    "VectorStoreChunkingStrategyResponseType",
    "VectorStoreDeletionStatus",
    "VectorStoreExpirationPolicy",
    "VectorStoreExpirationPolicyAnchor",
    "VectorStoreFile",
    "VectorStoreFileBatch",
    "VectorStoreFileBatchStatus",
    "VectorStoreFileCount",
    "VectorStoreFileDeletionStatus",
    "VectorStoreFileError",
    "VectorStoreFileErrorCode",
    "VectorStoreFileStatus",
    "VectorStoreFileStatusFilter",
    "VectorStoreStaticChunkingStrategyOptions",
    "VectorStoreStaticChunkingStrategyRequest",
    "VectorStoreStaticChunkingStrategyResponse",
    "VectorStoreStatus",
]

# --- chunking --------------------------------------------------------------------------------------------


class VectorStoreStaticChunkingStrategyOptions(WireModel):
    """Sizes in tokens: a chunk is 100 to 4096 (default 800), the overlap at most half of it (400)."""

    max_chunk_size_tokens: int
    chunk_overlap_tokens: int


class VectorStoreChunkingStrategyRequestType(StrEnum):
    """How files are to be cut into chunks."""

    AUTO = "auto"
    STATIC = "static"


class VectorStoreChunkingStrategyRequest(WireModel):
    """How to cut files; stands for unknown strategies."""

    type: str


class VectorStoreAutoChunkingStrategyRequest(VectorStoreChunkingStrategyRequest):
    """The service decides."""

    type: Literal["auto"] = "auto"


class VectorStoreStaticChunkingStrategyRequest(VectorStoreChunkingStrategyRequest):
    """Chunks of a fixed size."""

    type: Literal["static"] = "static"
    static: VectorStoreStaticChunkingStrategyOptions


AnyChunkingStrategyRequest = Annotated[
    VectorStoreAutoChunkingStrategyRequest
    | VectorStoreStaticChunkingStrategyRequest
    | VectorStoreChunkingStrategyRequest,
    ByType(),
]


class VectorStoreChunkingStrategyResponseType(StrEnum):
    """How files were cut into chunks."""

    OTHER = "other"
    STATIC = "static"


class VectorStoreChunkingStrategyResponse(WireModel):
    """How a file was cut; stands for unknown strategies."""

    type: str


class VectorStoreAutoChunkingStrategyResponse(VectorStoreChunkingStrategyResponse):
    """Not known (files from before strategies existed)."""

    type: Literal["other"] = "other"


class VectorStoreStaticChunkingStrategyResponse(VectorStoreChunkingStrategyResponse):
    """Chunks of a fixed size."""

    type: Literal["static"] = "static"
    static: VectorStoreStaticChunkingStrategyOptions


AnyChunkingStrategyResponse = Annotated[
    VectorStoreAutoChunkingStrategyResponse
    | VectorStoreStaticChunkingStrategyResponse
    | VectorStoreChunkingStrategyResponse,
    ByType(),
]

# --- stores ----------------------------------------------------------------------------------------------


class VectorStoreFileCount(WireModel):
    """How many files are in which state."""

    in_progress: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    total: int = 0


class VectorStoreExpirationPolicyAnchor(StrEnum):
    """From when on the life of a store counts."""

    LAST_ACTIVE_AT = "last_active_at"


class VectorStoreExpirationPolicy(WireModel):
    """A store expires so many days after its anchor."""

    anchor: Open[VectorStoreExpirationPolicyAnchor]
    days: int


class VectorStoreStatus(StrEnum):
    """How far a store has come."""

    EXPIRED = "expired"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"


class VectorStore(WireModel):
    """A vector store."""

    id: str
    object: str = "vector_store"
    created_at: UnixTime
    name: str | None = None
    usage_bytes: int | None = None
    file_counts: VectorStoreFileCount
    status: Open[VectorStoreStatus]
    expires_after: VectorStoreExpirationPolicy | None = None
    expires_at: UnixTime | None = None
    last_active_at: UnixTime | None = None
    metadata: Metadata | None = None


class VectorStoreDeletionStatus(DeletionStatus):
    """Answer of the deletion of a vector store."""

    object: str = "vector_store.deleted"


# --- files of a store ------------------------------------------------------------------------------------


class VectorStoreFileStatus(StrEnum):
    """How far a store has come with a file."""

    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


VectorStoreFileStatusFilter = VectorStoreFileStatus
"""The spec has a second enum of the same values for the `filter` of lists."""


class VectorStoreFileErrorCode(StrEnum):
    """Codes of a file that could not be ingested."""

    SERVER_ERROR = "server_error"
    INVALID_FILE = "invalid_file"
    UNSUPPORTED_FILE = "unsupported_file"


class VectorStoreFileError(WireModel):
    """Why a file could not be ingested."""

    code: Open[VectorStoreFileErrorCode]
    message: str


class VectorStoreFile(WireModel):
    """A file in a vector store; its id is the id of the uploaded file."""

    id: str
    object: str = "vector_store.file"
    usage_bytes: int | None = None
    created_at: UnixTime
    vector_store_id: str
    status: Open[VectorStoreFileStatus]
    last_error: VectorStoreFileError | None = None
    chunking_strategy: AnyChunkingStrategyResponse | None = None


class VectorStoreFileDeletionStatus(DeletionStatus):
    """Answer of the removal of a file from a store; the uploaded file stays."""

    object: str = "vector_store.file.deleted"


class VectorStoreFileBatchStatus(StrEnum):
    """How far a batch of files has come."""

    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    FAILED = "failed"


class VectorStoreFileBatch(WireModel):
    """Files that were added together. Recorded object name; the spec says `vector_store.files_batch`."""

    id: str
    object: str = "vector_store.file_batch"
    created_at: UnixTime
    vector_store_id: str
    status: Open[VectorStoreFileBatchStatus]
    file_counts: VectorStoreFileCount
