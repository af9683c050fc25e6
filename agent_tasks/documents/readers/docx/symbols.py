"""Characters of the fonts that have pictures or Greek where others have letters."""

from __future__ import annotations

_GREEK = dict(zip("ABCDEFGHIKLMNOPQRSTUWXYZabcdefghiklmnopqrstuwxyz",
                  "ΑΒΧΔΕΦΓΗΙΚΛΜΝΟΠΘΡΣΤΥΩΞΨΖαβχδεφγηικλμνοπθρστυωξψζ", strict=True))  # fmt: skip
_SYMBOL = {ord(latin): greek for latin, greek in _GREEK.items()} | {
    0x22: "∀", 0x24: "∃", 0x27: "∋", 0x2A: "∗", 0x2D: "−", 0x40: "≅", 0x4A: "ϑ", 0x56: "ς", 0x5C: "∴",
    0x5E: "⊥", 0x6A: "ϕ", 0x76: "ϖ", 0x7E: "∼", 0xA0: "€", 0xF1: "〉",
    **dict(enumerate("ϒ′≤⁄∞ƒ♣♦♥♠↔←↑→↓°±″≥×∝∂•÷≠≡≈…⏐⎯↵ℵℑℜ℘⊗⊕∅∩∪⊃⊇⊄⊂⊆∈∉", 0xA1)),
    **dict(enumerate("∠∇®©™∏√⋅¬∧∨⇔⇐⇑⇒⇓◊〈®©™∑⎛⎜⎝⎡⎢⎣⎧⎨⎩⎪", 0xD0)),
    **dict(enumerate("∫⌠⎮⌡⎞⎟⎠⎤⎥⎦⎫⎬⎭", 0xF2)),
}  # fmt: skip
"""Adobe's encoding of Symbol."""
_WINGDINGS = {
    0x6C: "●", 0x6E: "■", 0x6F: "☐", 0x71: "❑", 0x72: "❒", 0x76: "❖", 0x9F: "•", 0xA7: "▪", 0xA8: "☐",
    0xD8: "➢", 0xE0: "→", 0xFB: "✗", 0xFC: "✓", 0xFD: "☒", 0xFE: "☑", 0x28: "☎", 0x29: "✆", 0x2A: "✉",
}  # fmt: skip
_WINGDINGS_2 = {0x50: "✓", 0x4F: "✗", 0x51: "☒", 0x52: "☑", 0xA3: "☐", 0x53: "☒", 0x54: "☒"}
_FONTS = {"symbol": _SYMBOL, "wingdings": _WINGDINGS, "wingdings 2": _WINGDINGS_2}
UNKNOWN = "\ufffd"


def symbol(code: int, font: str | None) -> str:
    """Return the character that a font shows for a code; the replacement character if that is not known."""
    private = 0xF000 <= code <= 0xF0FF
    table = _FONTS.get((font or "").lower())
    if private or (table is not None and code <= 0xFF):
        low = code & 0xFF
        if table is None:  # such as a bullet in a font of the document's own
            return chr(low) if 0x20 < low < 0x7F else UNKNOWN
        return table.get(low) or (chr(low) if table is _SYMBOL and 0x20 <= low < 0x7F else UNKNOWN)
    return chr(code) if 0x20 <= code < 0x110000 and not 0xD800 <= code <= 0xDFFF else UNKNOWN


def with_symbols(text: str, font: str | None) -> str:
    """Return the text of a run, its characters of symbol fonts (in a private area) made readable."""
    if not any("\uf000" <= char <= "\uf0ff" for char in text):
        return text
    return "".join(symbol(ord(char), font) if "\uf000" <= char <= "\uf0ff" else char for char in text)
