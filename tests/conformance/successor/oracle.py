"""Microsoft's own server library for responses, with an agent of ours in it.

`python -S -m tests.conformance.successor.oracle PORT`, with its packages first on PYTHONPATH. It hosts agents
in containers, so what it does is a hint at what the service does, and no recording of it.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from typing import Any

from azure.ai.agentserver.responses import InMemoryResponseProvider, ResponsesAgentServerHost, TextResponse

WORDS = "word " * 5
app = ResponsesAgentServerHost(store=InMemoryResponseProvider())


@app.response_handler
async def answer(request: Any, context: Any, cancelled: asyncio.Event) -> Any:
    """Answer in pieces; `endless` is answered never."""
    asked = str(request.get("input"))

    async def pieces() -> AsyncIterator[str]:
        if "endless" in asked:
            await cancelled.wait()
        for word in WORDS.split():
            yield f"{word} "

    return TextResponse(context, request, text=pieces())


if __name__ == "__main__":
    app.run(host="127.0.0.1", port=int(sys.argv[1]))
