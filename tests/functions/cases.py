"""Calls of every tool of the app, valid and invalid, and what they are answered; no network is needed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

HEXLEY = {
    "found": "yes",
    "id": "HEXLEY",
    "name": "Hexley Electric Supply plc",
    "vat_id": "GB000003007",
    "country": "GB",
}
OAK = [{"quantity": 40, "unit_price": 38.5, "amount": 1540}, {"quantity": 12, "unit_price": 21}]


@dataclass(frozen=True)
class Case:
    """A call and its answer."""

    tool: str
    arguments: dict[str, Any]
    value: Any = None
    """The decoded `Value`, or the part of it that is given."""
    error: str | None = None
    """Type of the error value."""

    def __str__(self) -> str:
        return f"{self.tool}-{self.error or 'valid'}"

    def check(self, value: Any) -> None:
        """Assert that a decoded `Value` is the answer."""
        if self.error is not None:
            assert value["error"]["type"] == self.error, value
            assert value["error"]["message"]
        else:
            assert {**value, **self.value} == value


CASES = (
    Case("lookup_supplier", {"name": "Hexley Electric Supply"}, HEXLEY),
    Case("lookup_supplier", {"name": "Nobody & Sons"}, {"found": "no", "searched": "Nobody & Sons"}),
    Case("lookup_supplier", {}, error="invalid_arguments"),
    Case("lookup_customer", {"name": "constance halloby"}, {"found": "yes", "id": "HALLOWBY"}),
    Case("lookup_customer", {"name": 7}, error="invalid_arguments"),
    Case(
        "convert_currency",
        {"amount": 1972, "source": "USD", "target": "EUR", "day": "2026-09-20"},
        {
            "amount": "1678.58",
            "currency": "EUR",
            "rate": "0.851209",
            "rate_date": "2026-09-14",
            "source": "sample data, not real rates",
        },
    ),
    Case(
        "convert_currency",
        {"amount": 1, "source": "USD", "target": "JPY", "day": "2026-09-20"},
        error="tool_error",
    ),
    Case(
        "convert_currency",
        {"amount": 1, "source": "USD", "target": "EUR", "day": "2019-01-01"},
        error="tool_error",
    ),
    Case(
        "convert_currency",
        {"amount": 1, "source": "dollars", "target": "EUR", "day": "yesterday"},
        error="invalid_arguments",
    ),
    Case("validate_iban", {"iban": "DE89 3704 0044 0532 0130 00"}, {"valid": True, "country": "DE"}),
    Case("validate_iban", {"iban": "DE88370400440532013000"}, {"valid": False}),
    Case("validate_iban", {"iban": "X" * 65}, error="invalid_arguments"),
    Case(
        "validate_vat_id",
        {"vat_id": "de 136 695 976"},
        {"valid": True, "vat_id": "DE136695976", "country": "DE"},
    ),
    Case("validate_vat_id", {"vat_id": "CHE-107.787.577 IVA"}, {"valid": True, "country": "CH"}),
    Case("validate_vat_id", {"vat_id": "GB 980 7806 84"}, {"valid": True, "vat_id": "980780684"}),
    Case("validate_vat_id", {"vat_id": "NO 995 525 828 MVA"}, {"valid": True, "country": "NO"}),
    Case("validate_vat_id", {"vat_id": "DE136695978"}, {"valid": False}),
    Case("validate_vat_id", {"vat_id": None}, error="invalid_arguments"),
    Case(
        "validate_invoice_total",
        {"lines": OAK, "total": 2132.48, "tax_rate": 19},
        {"valid": True, "net": "1792.00", "tax": "340.48", "total": "2132.48", "problems": []},
    ),
    Case(
        "validate_invoice_total",
        {"lines": [{"quantity": 2, "unit_price": 5, "amount": 11}], "total": 12},
        {
            "valid": False,
            "problems": ["line 1: 2 x 5 is 10.00, not 11", "the lines and the tax give 11.00, not 12"],
        },
    ),
    Case("validate_invoice_total", {"lines": [], "total": 0}, error="invalid_arguments"),
    Case("get_weather", {"location": "Oslo, Norway"}, {"source": "sample, not measured"}),
    Case("get_weather", {"location": "Atlantis"}, error="tool_error"),
    Case("get_weather", {"city": "Oslo"}, error="invalid_arguments"),
    Case("read_document", {"name": "letters/hello.txt"}, {"text": "Hello.", "truncated": False}),
    Case("read_document", {"name": "gone.pdf"}, error="tool_error"),
    Case("read_document", {"name": "../secrets.txt"}, error="tool_error"),
    Case("read_document", {"name": "letters/hello.txt", "max_chars": 0}, error="invalid_arguments"),
)

DOCUMENTS = {"letters/hello.txt": b"Hello.\n"}
"""Blobs that the calls of `read_document` find in the container of documents."""
