"""The names that grounding knows are those of the CLDR."""

from __future__ import annotations

import json

from agent_tasks.documents.grounding._generate import NAMES, names
from agent_tasks.documents.grounding.names import currency_spellings, months, multipliers, unit_spellings


def test_the_file_is_what_babel_says() -> None:
    assert json.loads(NAMES.read_text("utf-8")) == names()


def test_names_are_known_by_their_folded_form() -> None:
    assert months()["marz"] == months()["märz"] == {3}
    assert months()["listopad"] == {10, 11}
    assert multipliers()["млн"] == {6}
    assert "EUR" in currency_spellings()["€"]
    assert len(currency_spellings()["$"]) > 1
    assert unit_spellings()["m2"] == unit_spellings()["m²"] == {"area-square-meter"}
    assert unit_spellings()["m"] == {"length-meter"}
