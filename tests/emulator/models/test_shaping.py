"""What a small model is shown, what its output is held to, and how the output is read."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agents_emulator.models.base import ChatMessage, ChatRequest, ModelError, ToolCall, ToolSpec
from agents_emulator.models.grammar import build_grammar, dates_in, matches_in, numbers_in
from agents_emulator.models.shaping import describe_schema, prepare_schema, shape

LOOKUP = ToolSpec(
    "lookup_supplier",
    "Looks up a supplier.",
    {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]},
)
PING = ToolSpec("ping", "Pings.", {"type": "object", "properties": {}})
ROW = {
    "type": "object",
    "properties": {
        "kind": {"type": "string", "enum": ["invoice", "letter"]},
        "date": {"type": "string", "format": "date", "description": "date of issue"},
        "total": {"anyOf": [{"type": "number"}, {"type": "null"}]},
    },
    "required": ["kind", "date", "total"],
}


def request(*messages: ChatMessage, **fields: Any) -> ChatRequest:
    return ChatRequest("m", messages or (ChatMessage("user", "hi"),), **fields)


LOOKED_UP = (
    ChatMessage("user", "Whose is it?"),
    ChatMessage("assistant", "", tool_calls=(ToolCall("1", "lookup_supplier", '{"name": "Oak"}'),)),
    ChatMessage("tool", "Known.", tool_call_id="1", name="lookup_supplier"),
)


class TestRepeats:
    """A model of this size does not stop calling by itself."""

    def test_a_tool_that_was_called_is_not_offered_again(self) -> None:
        shaped = shape(request(*LOOKED_UP, tools=(LOOKUP, PING)))
        assert "lookup_supplier" not in shaped.messages[0]["content"]
        assert "ping" in shaped.messages[0]["content"]

    def test_after_all_tools_the_answer_is_as_where_none_may_be_called(self) -> None:
        again = shape(request(*LOOKED_UP, tools=(LOOKUP,), response_schema=ROW))
        assert again == shape(request(*LOOKED_UP, tools=(LOOKUP,), response_schema=ROW, tool_choice="none"))

    def test_what_was_called_for_an_earlier_message_is_offered(self) -> None:
        shaped = shape(request(*LOOKED_UP, ChatMessage("user", "And this?"), tools=(LOOKUP,)))
        assert "lookup_supplier" in shaped.messages[0]["content"]


class TestPrompt:
    def test_is_never_without_system_text(self) -> None:
        assert shape(request()).messages[0] == {"role": "system", "content": "You are a helpful assistant."}

    def test_lists_the_fields_of_the_schema_once_and_in_order(self) -> None:
        shaped = shape(
            request(ChatMessage("system", "Extract."), ChatMessage("user", "x"), response_schema=ROW)
        )
        assert shaped.messages[0]["content"] == (
            "Extract.\n\nAnswer with JSON:\nkind: invoice or letter\ndate: date of issue (YYYY-MM-DD)\n"
            "total: number or null"
        )

    def test_describes_nested_fields_and_definitions(self) -> None:
        schema = {
            "$defs": {"Item": {"type": "object", "properties": {"name": {"type": "string"}}}},
            "properties": {
                "items": {"type": "array", "items": {"$ref": "#/$defs/Item"}},
                "ok": {"type": "boolean"},
            },
        }
        assert describe_schema(schema).splitlines() == [
            "items: list of text",
            "items.name: text",
            "ok: boolean",
        ]

    def test_tells_tool_calls_and_results_in_roles_the_model_knows(self) -> None:
        shaped = shape(
            request(
                ChatMessage("user", "who?"),
                ChatMessage("assistant", "", tool_calls=(ToolCall("c", "lookup_supplier", '{"name": "A"}'),)),
                ChatMessage("tool", "found", tool_call_id="c", name="lookup_supplier"),
                ChatMessage("user", "so?"),
            )
        )
        assert shaped.messages[1:] == [
            {"role": "user", "content": "who?"},
            {"role": "assistant", "content": '{"tool": "lookup_supplier", "arguments": {"name": "A"}}'},
            {"role": "user", "content": "Result of lookup_supplier: found\n\nso?"},
        ]


class TestOutput:
    def test_of_a_plain_answer_is_free_and_streams(self) -> None:
        shaped = shape(request(tools=(LOOKUP,), tool_choice="none"))
        assert (shaped.grammar, shaped.streams) == (None, True)
        assert shaped.decode("text") == ("text", ())

    @pytest.mark.parametrize(
        ("tools", "choice"), [((LOOKUP, PING), "function:lookup_supplier"), ((LOOKUP,), "required")]
    )
    def test_of_a_forced_tool_is_its_arguments(self, tools: tuple[ToolSpec, ...], choice: str) -> None:
        shaped = shape(request(tools=tools, tool_choice=choice))
        assert shaped.grammar is not None
        assert "lookup_supplier" not in shaped.grammar
        answer, [call] = shaped.decode('{"name": "Acme"}')
        assert (answer, call.name, json.loads(call.arguments)) == ("", "lookup_supplier", {"name": "Acme"})

    def test_of_free_choice_is_a_call_or_an_answer(self) -> None:
        shaped = shape(request(tools=(LOOKUP, PING)))
        assert shaped.grammar is not None
        assert '"answer"' in shaped.grammar
        assert shaped.decode('{"answer": "yes"}') == ("yes", ())
        _, [call] = shaped.decode('{"tool": "ping", "arguments": {}}')
        assert (call.name, call.arguments) == ("ping", "{}")

    def test_of_required_tools_is_a_call(self) -> None:
        shaped = shape(request(tools=(LOOKUP, PING), tool_choice="required"))
        assert shaped.grammar is not None
        assert '"answer"' not in shaped.grammar

    def test_beside_tools_is_a_structured_answer(self) -> None:
        shaped = shape(request(tools=(PING,), response_schema=ROW))
        assert json.loads(shaped.decode('{"answer": {"kind": "letter"}}')[0]) == {"kind": "letter"}

    def test_that_was_cut_off_is_an_error_of_a_call_but_not_of_an_answer(self) -> None:
        with pytest.raises(ModelError, match="cut off"):
            shape(request(tools=(LOOKUP,), tool_choice="required")).decode('{"na', complete=False)
        assert shape(request(response_schema=ROW)).decode('{"ki', complete=False) == ('{"ki', ())

    @pytest.mark.parametrize("fields", [{"response_schema": ROW}, {"tools": (PING,)}])
    def test_that_is_not_json_although_it_had_to_be_is_an_error(self, fields: dict[str, Any]) -> None:
        with pytest.raises(ModelError, match="simplify the schema"):
            shape(request(**fields)).decode("Sure! Here it is")

    def test_of_a_tool_that_is_not_there_is_refused(self) -> None:
        with pytest.raises(ModelError, match="'nothing', which the agent does not have"):
            shape(request(tools=(LOOKUP,), tool_choice="function:nothing"))


class TestSchema:
    def test_loses_what_cannot_be_enforced_and_gains_limits(self) -> None:
        prepared = prepare_schema(
            {
                "title": "T",
                "type": "object",
                "properties": {
                    "b": {"type": "string", "default": "x"},
                    "a": {
                        "type": "array",
                        "items": {"type": "string", "pattern": "(?=x)"},
                        "uniqueItems": True,
                    },
                    "title": {"oneOf": [{"type": "integer"}, {"type": "null"}]},
                },
            }
        )
        assert prepared == {
            "type": "object",
            "properties": {
                "b": {"type": "string", "maxLength": 160},
                "a": {"type": "array", "items": {"type": "string", "maxLength": 160}, "maxItems": 8},
                "title": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
            },
            "additionalProperties": False,
        }
        assert list(prepared["properties"]) == ["b", "a", "title"]


DOCUMENT = """Nordlicht Pumps AS, 0150 Oslo
INVOICE NP-2026-0114 of 3 March 2026, order PO-33
Pump 2 x 480.00
Total: EUR 1,240.50 by 2 April 2026"""


def rule(name: str, schema: dict[str, Any], text: str = DOCUMENT) -> str:
    """The rule of one property in the grammar of an object that has only this one."""
    whole = {"type": "object", "properties": {name: schema}, "required": [name]}
    return next(line for line in build_grammar(whole, text).splitlines() if line.startswith("p0: "))


class TestGrammar:
    def test_offers_the_dates_of_the_text(self) -> None:
        assert rule("d", {"type": "string", "format": "date"}) == (r'p0: "\"2026-03-03\"" | "\"2026-04-02\""')
        assert rule("d", {"type": "string", "format": "date"}, "no date").startswith("p0: %json")

    def test_offers_amounts_of_money_and_null(self) -> None:
        schema = {"type": ["number", "null"], "multipleOf": 0.01, "description": "total, as written"}
        assert rule("t", schema) == 'p0: "480.00" | "1240.50" | "null"'
        assert rule("t", schema, "2 pallets") == 'p0: "null"'

    def test_offers_pieces_that_match_a_pattern(self) -> None:
        schema = {"type": "string", "pattern": "^[A-Z]{2}-[0-9-]+$", "description": "number, as written"}
        assert rule("r", schema) == r'p0: "\"NP-2026-0114\"" | "\"PO-33\""'

    def test_reduces_an_enum_to_what_occurs(self) -> None:
        schema = {"type": ["string", "null"], "enum": ["USD", "EUR", None], "description": "as written"}
        assert rule("c", schema) == r'p0: "\"EUR\"" | "null"'
        assert rule("c", schema, "costs $ 5") == r'p0: "\"USD\"" | "null"'
        kinds = {"type": "string", "enum": ["delivery_note", "invoice"], "description": "as written"}
        assert rule("k", kinds, "Delivery  Note 5") == r'p0: "\"delivery_note\""'
        assert rule("k", kinds, "neither").startswith("p0: %json")

    def test_offers_runs_of_words_of_each_line(self) -> None:
        offered = rule("s", {"type": "string", "description": "sender, as written"}, 'Acme "Best" Ltd\nOslo')
        assert offered == (
            r'p0: "\"" %regex {"substring_chunks": ["Acme", " Best", " Ltd"]} "\""'
            r' | "\"" %regex {"substring_chunks": ["Oslo"]} "\""'
        )

    def test_leaves_other_properties_and_deeper_schemas_to_the_schema(self) -> None:
        assert rule("n", {"type": "number"}).startswith("p0: %json")
        open_object = {"type": "object", "properties": {"a": {"type": "string", "format": "date"}}}
        assert "p0:" not in build_grammar(open_object, DOCUMENT)

    def test_keeps_definitions_within_reach(self) -> None:
        schema = {
            "type": "object",
            "properties": {"a": {"$ref": "#/$defs/A"}},
            "required": ["a"],
            "$defs": {"A": {"type": "string", "enum": ["x"]}},
        }
        assert '"$defs"' in build_grammar(schema, "")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-03-01 and 1st of May 2025", ["2026-03-01", "2025-05-01"]),
        ("March 5, 2026; 09/05/2026; 31.12.2025", ["2026-03-05", "2026-05-09", "2025-12-31"]),
        ("31 February 2026, 99/99/2026, version 1.2.3", []),
    ],
)
def test_dates_are_found_in_their_usual_forms(text: str, expected: list[str]) -> None:
    assert dates_in(text) == expected


def test_numbers_are_found_and_normalised() -> None:
    text = "1,240.50 | 1.240,50 | 1'240.50 | 42 000 | 3 pcs | NP-77 | 0.5 | 7/8 | v2 | 10.10.2026"
    assert numbers_in(text) == ["1240.50", "42000", "3", "0.5"]
    assert numbers_in(text, integers=True) == ["42000", "3"]
    assert numbers_in("USD 5 and 6 and $7.5 and 8 EUR and 0.75 l", money=True) == ["5", "7.5", "8", "0.75"]


def test_the_longest_match_counts() -> None:
    assert matches_in("Delivery note no. LS 20260509.", "^[A-Z]{2} ?[0-9]+$") == ["LS 20260509"]
