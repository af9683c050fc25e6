"""A fake of a function behind two queues: a thread that answers what comes in, without any Functions host."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from azure.storage.queue import QueueServiceClient

from agent_tasks.local.azurite import StorageAddresses
from agent_tasks.queues import decode, encode

Json = dict[str, Any]


class FakeFunction:
    """Answers each call on `input_queue` with `function(arguments)`, in order, until it is left.

    `function` returns the value, or None to leave the call without an answer.
    """

    def __init__(
        self,
        storage: StorageAddresses,
        input_queue: str,
        output_queue: str,
        function: Callable[[Json], str | None],
    ) -> None:
        account = QueueServiceClient.from_connection_string(
            storage.connection_string.get_secret_value(),
            # The thread must not look at the environment, which pytest changes from test to test: a variable
            # that goes while it looks is a KeyError, and the end of the thread.
            use_env_settings=False,
        )
        self.input = account.get_queue_client(input_queue)
        self.output = account.get_queue_client(output_queue)
        self.function = function
        self.bodies: list[str] = []
        """Messages as they stood in the queue."""
        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=self._serve, name=f"function behind {input_queue}", daemon=True
        )

    @property
    def calls(self) -> list[Json]:
        """The messages, decoded."""
        return [json.loads(decode(body)) for body in self.bodies]

    def answer(self, correlation_id: str, value: str) -> None:
        """Put an answer into the output queue."""
        self.output.send_message(encode(json.dumps({"Value": value, "CorrelationId": correlation_id})))

    def __enter__(self) -> Self:
        self.input.create_queue()
        self.output.create_queue()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(60)
        assert not self._thread.is_alive(), f"{self._thread.name} does not end"
        for queue in (self.input, self.output):
            queue.delete_queue()

    def _serve(self) -> None:
        while not self._stop.wait(0.02):
            for message in self.input.receive_messages(visibility_timeout=60):
                self.bodies.append(message.content)
                call = json.loads(decode(message.content))
                correlation_id = call.pop("CorrelationId")
                value = self.function(call)
                if value is not None:
                    self.answer(correlation_id, value)
                self.input.delete_message(message)
