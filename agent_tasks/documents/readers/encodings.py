"""Which encoding a text without a mark is in: recognised, or refused where two readings are as likely.

UTF-8 and UTF-16 are told by their form. Each of the older ones is tried, and what comes out is judged:
whether its letters belong to one language, stand in words, and have one case. General detectors
(charset-normalizer and others) guess on short texts, and a wrong guess is a wrong value: their opinion counts
where ours is torn.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

_SAMPLE = 100_000
_MARGIN = 0.12
_LEAST = 0.45


@dataclass(frozen=True, slots=True)
class Guess:
    """A reading of bytes."""

    text: str
    encoding: str
    score: float


class AmbiguousTextError(ValueError):
    """Several readings are as likely, or none is."""


# fmt: off
_WEST = ("cp1252",)
_CENTRAL = ("cp1250", "iso8859_2")
# For each language: its encodings; its letters besides a to z, the rare ones after a bar; and usual words.
_LANGUAGES = (
    (_WEST, "äöüß", "der die das und für von mit ist zu den"),
    (_WEST, "àâæçéèêëîïôœùûüÿ", "le la les de des et pour en un une à du"),
    (_WEST, "áéíñóúü", "el la los las de que y en por para un una con"),
    (_WEST, "áâãàçéêíóôõú", "o a os as de que e em por para um uma com não do da"),
    (_WEST, "àèéìòù", "il la le di che e per in un una con del non"),
    (_WEST, "æøåé", "og i det at en er til på for af av ikke"),
    (_WEST, "åäöé", "och i att en det som är på för av ja on ei se"),
    (_WEST, "áðéíóúýþæö", "og að í er sem á við"),
    (_WEST, "éëïóèöü", "de het een en van in is voor met niet"),
    (_CENTRAL, "ąćęłńóśźż", "w i na z do nie się jest od dla po oraz"),
    (_CENTRAL, "áčďéěíňóřšťúůýž", "a v na je se že s o do pro za ve"),
    (_CENTRAL, "áäčďéíĺľňóôŕšťúýž", "a v na je sa že s o do pre za vo"),
    (_CENTRAL, "áéíóöőúüű", "a az és hogy nem egy is van"),
    (_CENTRAL, "čćđšž", "i u je na se da za od su"),
    (_CENTRAL, "ăâîşţ", "de la si în cu pe nu din un o pentru"),
    (("cp1254",), "çğıöşüâî", "ve bir bu için ile da de"),
    (("cp1257",), "ąčęėįšųūž", "ir yra kad su iš ne į"),
    (("cp1257",), "āčēģīķļņšūž", "un ir ar no par uz"),
    (("cp1257",), "äõöüšž", "ja on ei see et"),
    (("cp1251", "koi8_r", "cp866", "iso8859_5"), "оеаинтсрвлкмдпуяыьгзб|чйхжшюцщэфёъ",
     "и в на не с по к от за из о"),
    (("cp1251", "koi8_u"), "оеаинтсрвлкмдпуяьгзбі|чйхжшюцщфїєґ", "і в на не з по до від за та"),
    (("cp1251",), "оеаинтсрвлкмдпујгзб|чхжшцфђљњћџ", "и у на не са да за је од"),
    (("cp1253", "iso8859_7"), "αεηιοντσςρκλμπυάέήίόύώ|γδθχωφβξζψϊϋ", "και το του της η ο των για"),
    (("cp1255",), "אבדהוילמנערשתםן|גזחטכספצקךףץ", "של על את לא זה עם"),
    (("cp1256",), "ابتدرسعفقكلمنهويىةأ|ثجحخذزشصضطظغإآءؤئ", "في من على إلى أن لا"),
    (("cp874",), "กขคงจชดตทนบปพมยรลวสหอะัาำิีึืุูเแโใไ็่้์|ฃฅฆฉซฌญฎฏฐฑฒณถธผฝฟภฤศษฬฮฯๆ๊๋", ""),
)
# fmt: on
LATIN = (*_WEST, *_CENTRAL, "cp1254", "cp1257")
"""Encodings in which letters beyond ASCII are few, so that two that make UTF-8 do so by no chance."""
_USUAL_SYLLABLES = frozenset(
    "이다는에의을를가은한로고지하도자사인기어대서시정그리아있나라수보스일원장부만들제과여해전공구조주상개비동금액합계"
    "호번청울특별중니습월년성관용신소문화물생것없으면안내경연회위방발세무당입"
)
_EAST_ASIAN = ("cp932", "euc_jp", "gb18030", "big5", "cp949")
_NEUTRAL = frozenset("–—‘’‚“”„•…‹›€™©®§°«»¶·±×÷µ¿¡ªº¹²³¼½¾£¥№\u00a0„“‐−´")
_BETWEEN_LETTERS = frozenset("–—’‘·\u00a0´")


def recognised(content: bytes) -> Guess:
    """Return the likeliest reading of bytes that are not UTF-8.

    Raises:
        AmbiguousTextError: Two are as likely, or none is likely; says which.
    """
    guesses = sorted(_guesses(content[:_SAMPLE]), key=lambda guess: -guess.score)
    likely = [guess for guess in guesses if guess.score >= _LEAST]
    if not likely:
        raise AmbiguousTextError("its encoding is not known")
    best = likely[0]
    others = [g for g in likely[1:] if g.text != best.text and g.score > best.score - _MARGIN]
    if others and not _confirmed(content, best, others):
        names = " or ".join(dict.fromkeys((best.encoding, *(other.encoding for other in others))))
        raise AmbiguousTextError(f"it may be in {names}, which give different texts")
    try:
        return Guess(content.decode(best.encoding), best.encoding, best.score)
    except UnicodeDecodeError as error:
        raise AmbiguousTextError(f"it looks like {best.encoding} but is not all through") from error


def _confirmed(content: bytes, best: Guess, others: list[Guess]) -> bool:
    """Ask charset-normalizer, whose word counts in a text long enough for statistics."""
    if len(content) < 200:
        return False
    import charset_normalizer  # hardly any text needs it, and it takes a while to load

    found = charset_normalizer.from_bytes(
        content[:_SAMPLE], cp_isolation=[best.encoding, *(other.encoding for other in others)]
    ).best()
    return found is not None and found.encoding == best.encoding and found.coherence > 0.3


def _guesses(sample: bytes) -> Iterator[Guess]:
    for languages, letters, words in _LANGUAGES:
        for encoding in languages:
            if (text := _decoded(sample, encoding)) is not None:
                common, _, rare = letters.partition("|")
                score = _alphabetic(text, frozenset(common), frozenset(rare))
                if encoding == "cp874":  # any bytes make Thai letters, but not many make words
                    score *= min(1.0, sum(char > "\x7f" for char in text) / 8)
                yield Guess(text, encoding, score + _words_bonus(text, frozenset(words.split())))
    for encoding in _EAST_ASIAN:
        if (text := _decoded(sample, encoding)) is not None:
            yield Guess(text, encoding, _east_asian(text, encoding))


def _decoded(sample: bytes, encoding: str) -> str | None:
    """Decode a sample, which may end within a character; None if it is not of the encoding."""
    for cut in range(4 if len(sample) == _SAMPLE else 1):
        try:
            return sample[: len(sample) - cut].decode(encoding)
        except UnicodeDecodeError:
            continue
    return None


def _words_bonus(text: str, words: frozenset[str]) -> float:
    """Return up to 0.3 for words that hold a text of the language together."""
    spoken = [word.strip(".,;:()").lower() for word in text[:20_000].split()]
    return 0.3 * min(1.0, 5 * sum(word in words for word in spoken) / len(spoken)) if spoken else 0.0


def _alphabetic(text: str, common: frozenset[str], rare: frozenset[str]) -> float:
    """Return the mean worth of the characters beyond ASCII, 1 for a letter of the language in a word."""
    scores = []
    for position, char in enumerate(text):
        if char <= "\x7f":
            continue
        before, after = text[position - 1 : position], text[position + 1 : position + 2]
        if char.isalpha() and char not in "ªº":
            scores.append(_letter(char, before, after, common, rare))
        elif unicodedata.combining(char) and (char in common or char in rare):
            scores.append(1.0 if before > "\x7f" else -1.5)
        elif char not in _NEUTRAL or (before.isalpha() and after.isalpha() and char not in _BETWEEN_LETTERS):
            scores.append(-1.5)
    return sum(scores) / len(scores) if scores else 0.7


def _letter(char: str, before: str, after: str, common: frozenset[str], rare: frozenset[str]) -> float:
    latin = "LATIN" in unicodedata.name(char, "")
    if char.isupper() and before.islower():  # as if in the other case: a sign of another encoding
        return -1.5
    if not latin and (_is_ascii_letter(before) or _is_ascii_letter(after)):
        return -1.5
    if before.isdigit() or (not before.isalpha() and not _continues(after) and (char.isupper() or not latin)):
        return -0.7
    capitals = 0.8 if char.isupper() and (before.isupper() or after.isupper()) else 1.0
    if char.lower() in common:
        return capitals
    if char.lower() in rare:
        return 0.4 * capitals
    return 0.3 if latin else -1.0


def _is_ascii_letter(char: str) -> bool:
    return char.isalpha() and char.isascii()


def _continues(char: str) -> bool:
    return char.isalpha() or bool(char and unicodedata.combining(char))


def _east_asian(text: str, encoding: str) -> float:
    scores = [_east_asian_character(char, encoding) for char in text if char > "\x7f"]
    if not scores:
        return 0.0
    score = sum(scores) / len(scores) * min(1.0, len(scores) / 4)  # one or two characters are no evidence
    if encoding in ("cp932", "euc_jp") and not any("\u3041" <= char <= "\u30ff" for char in text):
        score -= 0.1
    if encoding == "cp949" and any("\u4e00" <= char <= "\u9fff" for char in text):
        score = min(score, 0.4)
    return score


def _east_asian_character(char: str, encoding: str) -> float:
    if "\u3000" <= char <= "\u303f" or "\uff01" <= char <= "\uff5e" or char in "·—…“”‘’×％￥":
        return 0.8
    if "\uac00" <= char <= "\ud7a3":
        usual = 1.0 if char in _USUAL_SYLLABLES else 0.5
        return usual if encoding == "cp949" and _lead(char, "euc_kr") else -1.0
    if "\u3041" <= char <= "\u30ff":
        return 1.0 if encoding in ("cp932", "euc_jp") else -1.0
    if "\u4e00" <= char <= "\u9fff":
        first, last, form = {
            "gb18030": (0xB0, 0xD7, "gb2312"), "big5": (0xA4, 0xC6, "big5"), "cp949": (1, 0, "euc_kr"),
        }.get(encoding, (0xB0, 0xCF, "euc_jp"))  # fmt: skip
        lead = _lead(char, form)
        return 0.65 if first <= lead <= last else -0.3 if lead else -1.0
    return -0.5 if "\uff61" <= char <= "\uff9f" else -1.0


def _lead(char: str, encoding: str) -> int:
    """Return a character's first byte in an encoding that begins with the common ones, or 0."""
    try:
        encoded = char.encode(encoding)
    except UnicodeEncodeError:
        return 0
    return encoded[0] if len(encoded) == 2 else 0
