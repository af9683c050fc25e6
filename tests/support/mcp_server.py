"""A real MCP server for tests: it writes into a ledger, and counts what was written."""

import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.emulator.tools.test_openapi import serve


@dataclass
class McpLedger:
    """The server's address and what was written, with how often."""

    url: str = ""
    written: Counter[str] = field(default_factory=Counter)
    secrets: list[str | None] = field(default_factory=list)
    """The header `x-secret` of each call."""


@contextmanager
def mcp_ledger() -> Iterator[McpLedger]:
    """Serve the tool `write(line)` from a thread."""
    # Here, since all processes of tests load this module, and few serve.
    from mcp.server.mcpserver import Context, MCPServer

    ledger = McpLedger()
    server: Any = MCPServer("ledger", log_level="CRITICAL")

    @server.tool()
    def write(line: str, context: Context) -> str:
        """Writes a line into the ledger."""
        ledger.written[line] += 1
        ledger.secrets.append((context.headers or {}).get("x-secret"))
        return f"line {sum(ledger.written.values())}"

    logging.getLogger("mcp").setLevel(logging.CRITICAL)
    with serve(server.streamable_http_app(stateless_http=True, json_response=True)) as origin:
        ledger.url = f"{origin}/mcp"
        yield ledger
