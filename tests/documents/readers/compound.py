"""Making compound files (OLE), as Outlook and old Office write them."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterator

_SECTOR = 512
_FREE, _END, _FAT_SECTOR, _NONE = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD, 0xFFFFFFFF

Storage = dict[str, "bytes | Storage"]


class _Sectors:
    """Sectors of one size, and the table of which follows which."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.content = b""
        self.table: list[int] = []

    def store(self, content: bytes) -> int:
        """Append content; returns its first sector."""
        if not content:
            return _END
        first, count = len(self.table), -(-len(content) // self.size)
        self.table += [*range(first + 1, first + count), _END]
        self.content += content.ljust(count * self.size, b"\0")
        return first


def compound(root: Storage) -> bytes:
    """A compound file of streams and storages."""
    entries = [("Root Entry", 5, b"", -1), *_entries(root, 0)]
    sectors, small = _Sectors(_SECTOR), _Sectors(64)
    starts = [
        (small if len(content) < 4096 else sectors).store(content) if kind == 2 else 0
        for _, kind, content, _ in entries
    ]
    starts[0] = sectors.store(small.content)
    children: dict[int, list[int]] = {}
    for number, (_, _, _, parent) in enumerate(entries):
        children.setdefault(parent, []).append(number)
    following = {a: b for found in children.values() for a, b in itertools.pairwise(found)}
    directory = b""
    for number, (name, kind, content, _) in enumerate(entries):
        encoded = name.encode("utf-16-le") + b"\0\0"
        size = len(content) if number else len(small.content)
        directory += struct.pack(
            "<64sHBBIII16sIQQIQ", encoded, len(encoded), kind, 1, _NONE, following.get(number, _NONE),
            children.get(number, [_NONE])[0], b"", 0, 0, 0, starts[number], size,
        )  # fmt: skip
    first_of_directory = sectors.store(directory)
    small_table = struct.pack(f"<{len(small.table)}I", *small.table)
    first_of_small = sectors.store(small_table.ljust(-(-len(small_table) // _SECTOR) * _SECTOR, b"\xff"))
    count = len(sectors.table)
    of_fat = 1
    while of_fat * 128 < count + of_fat:
        of_fat += 1
    fat = sectors.table + [_FAT_SECTOR] * of_fat
    fat += [_FREE] * (of_fat * 128 - len(fat))
    header = struct.pack(
        "<8s16sHHHHH6sIIIIIIIII", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"", 0x3E, 3, 0xFFFE, 9, 6, b"",
        0, of_fat, first_of_directory, 0, 4096, first_of_small, len(small_table) // _SECTOR + 1, _END, 0,
    )  # fmt: skip
    header += struct.pack("<109I", *range(count, count + of_fat), *[_FREE] * (109 - of_fat))
    return header + sectors.content + struct.pack(f"<{len(fat)}I", *fat)


def _entries(storage: Storage, parent: int) -> Iterator[tuple[str, int, bytes, int]]:
    """Yield the entries below a storage, each after its parent; the numbers count from the parent on."""
    todo: list[tuple[Storage, int]] = [(storage, parent)]
    number = parent
    while todo:
        inner, above = todo.pop(0)
        for name, content in inner.items():
            number += 1
            if isinstance(content, bytes):
                yield name, 2, content, above
            else:
                yield name, 1, b"", above
                todo.append((content, number))


def message(
    texts: dict[int, str],
    *,
    binary: dict[int, bytes] | None = None,
    fixed: dict[int, int] | None = None,
    head: int = 32,
    **storages: Storage,
) -> Storage:
    """The properties of a message of Outlook, or of a part of one."""
    made: Storage = {f"__substg1.0_{n:04X}001F": text.encode("utf-16-le") for n, text in texts.items()}
    made |= {f"__substg1.0_{n:04X}0102": content for n, content in (binary or {}).items()}
    listed = b"".join(
        struct.pack("<HHIq", 0x0040 if value > 1 << 40 else 0x0003, n, 6, value)
        for n, value in (fixed or {}).items()
    )
    made["__properties_version1.0"] = bytes(head) + listed
    return made | storages
