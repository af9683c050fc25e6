# Made from _async/messages.py by `make generate`: change that one.
"""Messages of a thread."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from agent_tasks.client._requests import path_of
from agent_tasks.client._sync.resource import Resource, request_body
from agent_tasks.errors import ConfigurationError
from agent_tasks.wire import (
    CreateMessageRequest,
    MessageDeletionStatus,
    MessageRole,
    MessageTextContent,
    ThreadMessage,
    UpdateMessageRequest,
)


class Messages(Resource):
    """Operations on messages."""

    def create(
        self, thread_id: str, request: CreateMessageRequest | None = None, /, **fields: Any
    ) -> ThreadMessage:
        """Adds a message (`role=`, `content=`, `attachments=`, `metadata=`).

        Raises BadRequestError while a run is active on the thread.
        """
        body = request_body(CreateMessageRequest, request, fields)
        return self._create(ThreadMessage, path_of("threads", thread_id, "messages"), body)

    def get(self, thread_id: str, message_id: str) -> ThreadMessage:
        """Reads a message. Raises NotFoundError."""
        return self._get(ThreadMessage, path_of("threads", thread_id, "messages", message_id))

    def update(
        self, thread_id: str, message_id: str, request: UpdateMessageRequest | None = None, /, **fields: Any
    ) -> ThreadMessage:
        """Changes the `metadata=` of a message."""
        body = request_body(UpdateMessageRequest, request, fields)
        return self._update(ThreadMessage, path_of("threads", thread_id, "messages", message_id), body)

    def delete(self, thread_id: str, message_id: str) -> MessageDeletionStatus:
        """Deletes a message; only in the preview (api-version 2025-05-15-preview).

        Raises NotFoundError, and ConfigurationError in any other api-version, before anything is sent.
        """
        version = self._transport.api_version
        if not version.endswith("-preview"):
            raise ConfigurationError(
                f"messages.delete is not in api-version {version}: make the client with "
                'api_version="2025-05-15-preview", or delete the thread.',
                setting="api_version",
            )
        path = path_of("threads", thread_id, "messages", message_id)
        return self._delete(MessageDeletionStatus, path, message_id)

    def get_last_message_by_role(
        self, thread_id: str, role: MessageRole | Literal["user", "assistant"] = "assistant"
    ) -> ThreadMessage | None:
        """The newest message of a thread that is the user's or the agent's; None if there is none."""
        for message in self.list(thread_id, order="desc"):
            if message.role == role:
                return message
        return None

    def get_last_message_text_by_role(
        self, thread_id: str, role: MessageRole | Literal["user", "assistant"] = "assistant"
    ) -> MessageTextContent | None:
        """The last text part of the newest such message that has one; None if there is none."""
        for message in self.list(thread_id, order="desc"):
            if message.role == role and message.text_messages:
                return message.text_messages[-1]
        return None

    def list(
        self,
        thread_id: str,
        *,
        run_id: str | None = None,
        limit: int | None = None,
        order: Literal["asc", "desc"] | None = None,
        after: str | None = None,
        before: str | None = None,
    ) -> Iterator[ThreadMessage]:
        """All messages of a thread (of one run, if named), newest first unless `order="asc"`.

        `limit` (1 to 100) is the size of a page, as in the official client: the iterator goes on to the next.
        """
        params = {"run_id": run_id, "limit": limit, "order": order, "after": after, "before": before}
        return self._list(ThreadMessage, path_of("threads", thread_id, "messages"), params)
