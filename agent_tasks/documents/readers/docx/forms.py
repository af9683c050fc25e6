"""Old form fields of Word, whose results a file may leave out."""

from __future__ import annotations

from agent_tasks.documents.readers.ooxml import is_on


class Form:
    """What a file says of a form field."""

    def __init__(self) -> None:
        """Begin one of which nothing is known yet."""
        self._told: dict[str, str] = {}

    def check_box(self, _: dict[str, str]) -> None:
        """It is a box to tick."""
        self._told["checkbox"] = ""

    def drop_down(self, _: dict[str, str]) -> None:
        """It is a list of which one entry is chosen."""
        self._told["list"] = "0"

    def entry(self, attributes: dict[str, str]) -> None:
        """Take an entry of the list."""
        if "list" in self._told:
            number = int(self._told["list"])
            self._told[f"entry {number}"] = attributes.get("w:val", "")
            self._told["list"] = str(number + 1)

    def value(self, name: str, attributes: dict[str, str]) -> None:
        """Take whether it is ticked, or which entry is chosen: ``checked``, ``default`` or ``result``."""
        self._told[name] = attributes.get("w:val", "1")

    def shown(self) -> str:
        """Return what Word shows of it."""
        told = self._told
        if "checkbox" in told:
            return "☒" if is_on({"w:val": told.get("checked", told.get("default", "0"))}) else "☐"
        if "list" in told:
            return told.get(f"entry {told.get('result', told.get('default', '0'))}", "")
        return ""
