"""Choices that a text has, but denies: "not paid", 未払い, an empty box before the word."""

from __future__ import annotations

import regex

_BEFORE = regex.compile(
    r"(?<![\p{L}\p{M}])(?:not|non|no|never|without|nicht|kein|keine|keinen|keiner|ohne|nie|pas|sans|jamais|sin|nunca|"
    r"senza|mai|não|sem|niet|geen|zonder|ikke|ikkje|inte|ej|utan|uden|uten|ekki|ei|ole|ilman|nem|nincs|bez|ne|není|nejsou|"
    r"nije|nisu|ni|nu|fără|не|нет|без|ні|немає|няма|није|δεν|χωρίς|μη|μην|bukan|tidak|tanpa|không|chưa|hindi|walang|"
    r"لا|لم|لن|ليس|غير|بدون|نہیں|غیر|نا|לא|אין|ללא|नहीं|बिना|न|না|নয়|இல்லை|si|wala|nid|gan|ní|níl)"
    r"[ \-](?:(?:been|be|yet|fully|noch|encore|ancora|todavía|ainda|ещё|еще) )?\Z",
    regex.IGNORECASE,
)
_UNSPACED_BEFORE = regex.compile(r"(?:[未不非没沒无無勿否]|ไม่(?:ได้)?|ບໍ່|មិន|미|불|비)\Z")
_AFTER = regex.compile(
    r" ?(?:değil|degil|नहीं|नाही|இல்லை|కాదు|ಅಲ್ಲ|അല്ല|নয়|না|نہیں|نیست|"
    r"ではな|でな|じゃな|しな|されな|なし|없|아님|아니|않|안 됨|하지)"
)
_EMPTY_BOX = regex.compile(r"(?:[☐□▢◻○◯❏❑]|\[ ?\]|\( \)) ?\Z")
_BOX = regex.compile(r"[☐□▢◻○◯❏❑☑☒■▣◼●✓✔✗✘]|\[[ xX✓✔]?\]|\( \)|\([xX]\)")
_NEAR = 24


def is_denied(source: str, start: int, end: int) -> bool:
    """Whether what stands around a word says that it is not so.

    Args:
        source: The text.
        start: The word's first character.
        end: After its last.
    """
    before, after = source[max(0, start - _NEAR) : start], source[end : end + _NEAR]
    if _BEFORE.search(before) or _UNSPACED_BEFORE.search(before) or _AFTER.match(after):
        return True
    return _EMPTY_BOX.search(before) is not None and _boxes_come_first(source, start)


def _boxes_come_first(source: str, at: int) -> bool:
    """Whether the line's boxes stand before their words: one that ends in a box has them after."""
    start = source.rfind("\n", 0, at) + 1
    stop = source.find("\n", at)
    line = source[start : stop if stop >= 0 else len(source)].rstrip(" \t.,;")
    boxes = list(_BOX.finditer(line))
    return not boxes or boxes[-1].end() != len(line)
