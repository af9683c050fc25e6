"""The tools of this app, and what an agent is told of them.

`python catalog.py > tools.json` writes the definitions for those who make agents, so that they need neither
this code nor its packages (docs of prefect-azure-agents: `queue_tools.definitions` of a pipeline file).
"""

from __future__ import annotations

import json
from typing import Any

from bank_accounts import validate_iban
from currencies import convert_currency
from document_reader import read_document
from invoices import validate_invoice_total
from queue_tool import QueueTool
from registers import lookup_customer, lookup_supplier
from vat_ids import validate_vat_id
from weather import get_weather

TOOLS: tuple[QueueTool[..., Any], ...] = (
    convert_currency,
    get_weather,
    lookup_customer,
    lookup_supplier,
    read_document,
    validate_iban,
    validate_invoice_total,
    validate_vat_id,
)


def definitions() -> list[dict[str, Any]]:
    """The tools as JSON: name, description, parameters (JSON schema) and the names of the two queues."""
    return [
        {
            "name": tool.name,
            "description": tool.description,
            "parameters": tool.parameters,
            "input_queue": tool.input_queue,
            "output_queue": tool.output_queue,
        }
        for tool in TOOLS
    ]


if __name__ == "__main__":
    print(json.dumps(definitions(), indent=2, ensure_ascii=False))
