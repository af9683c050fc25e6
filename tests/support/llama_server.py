"""llama.cpp's own server with the small model, in a process: an OpenAI-compatible server that is not ours.

It serves `/v1/responses`, and keeps nothing: no conversations, no lists, no files.

    python -m tests.support.llama_server      # prints its address; ends with its standard input
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


@contextmanager
def llama_server() -> Iterator[str]:
    """Its address, which ends in `/v1`."""
    command = [sys.executable, "-m", "tests.support.llama_server"]
    process = subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        address = process.stdout.readline().strip()
        assert address.startswith("http://"), f"llama.cpp's server did not start: {address}"
        yield f"{address}/v1"
    finally:
        process.stdin.close()
        process.wait(20)
        process.stdout.close()


def serve() -> None:
    """Serve until the standard input ends."""
    import xllamacpp

    from agents_emulator.models.smollm2 import weights_path

    params: Any = xllamacpp.CommonParams()
    params.model.path = str(weights_path())
    params.hostnames, params.port = ["127.0.0.1"], 0
    params.n_ctx, params.n_parallel, params.n_threads_http = 2048, 1, 2
    params.verbosity, params.warmup = -1, False
    for threads in (params.cpuparams, params.cpuparams_batch):
        threads.n_threads = 1
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    serve()
