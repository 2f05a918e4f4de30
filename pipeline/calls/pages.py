"""Records out of the pages of a SQLite file that SQLite itself may not be able to read any more.

Reads every page of the file and of its write-ahead log for itself (sqlite.org/fileformat2.html, sections 1.5, 1.6, 2.1
and 4.1), so a lost header, a hole, or a file cut short anywhere costs the records in what is lost and no others.
What comes out may be out of date, twice, or nonsense: the caller knows by the records' own checksums.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Collection, Iterator
from typing import BinaryIO

Record = tuple[int | float | str | bytes | None, ...]

_HEADER = b"SQLite format 3\0"
_USUAL_SIZE = 4096
_SIZES = {2**power for power in range(9, 17)}
_WAL_HEADER, _FRAME_HEADER = 32, 24
_WAL_MAGIC = {0x377F0682, 0x377F0683}
_TABLE_LEAF, _INDEX_LEAF, _INDEX_INTERIOR = 13, 10, 2
_INTEGERS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}


class Pages:
    """The pages of a file and of its log, either of which may be missing."""

    def __init__(self, main: BinaryIO | None, log: BinaryIO | None) -> None:
        self._main, self._log = main, log
        self.size = _page_size(main, log)
        self._in_main = os.fstat(main.fileno()).st_size // self.size if main else 0
        self._in_log = self._read_log() if log else {}

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        """Number and content of every page: those of the file, then all that stand in the log."""
        for number in range(1, self._in_main + 1):
            yield number, self._of_main(number)
        for number, places in self._in_log.items():
            for place in places:
                yield number, _read(self._log, place, self.size)

    def newest(self, number: int) -> bytes:
        """The last state of a page; empty where there is none."""
        places = self._in_log.get(number)
        return _read(self._log, places[-1], self.size) if places else self._of_main(number)

    @property
    def longest(self) -> int:
        """Bytes of all pages: no record can have more."""
        return self.size * (self._in_main + sum(map(len, self._in_log.values())))

    def _of_main(self, number: int) -> bytes:
        return _read(self._main, (number - 1) * self.size, self.size) if 0 < number <= self._in_main else b""

    def _read_log(self) -> dict[int, list[int]]:
        """Page number -> where its states begin, in order. Frames of earlier rounds count as well."""
        assert self._log is not None
        found: dict[int, list[int]] = {}
        step = _FRAME_HEADER + self.size
        frames = (os.fstat(self._log.fileno()).st_size - _WAL_HEADER) // step
        for start in range(_WAL_HEADER, _WAL_HEADER + frames * step, step):
            number = int.from_bytes(_read(self._log, start, 4), "big")
            found.setdefault(number, []).append(start + _FRAME_HEADER)
        return found


def records(pages: Pages, columns: Collection[int]) -> Iterator[Record]:
    """Every readable record with one of these numbers of columns."""
    for number, page in pages:
        for payload in _payloads(pages, number, page):
            try:
                kinds, body = _header(payload)
                if len(kinds) in columns:
                    yield _values(payload, kinds, body)
            except (IndexError, ValueError, struct.error):
                continue


def _payloads(pages: Pages, number: int, page: bytes) -> Iterator[bytes]:
    start = 100 if number == 1 else 0
    if len(page) < pages.size or page[start] not in {_TABLE_LEAF, _INDEX_LEAF, _INDEX_INTERIOR}:
        return
    kind = page[start]
    first = start + (12 if kind == _INDEX_INTERIOR else 8)
    for entry in range(first, first + 2 * int.from_bytes(page[start + 3 : start + 5], "big"), 2):
        try:
            place = int.from_bytes(page[entry : entry + 2], "big") + (4 if kind == _INDEX_INTERIOR else 0)
            length, place = _varint(page, place)
            if kind == _TABLE_LEAF:
                _, place = _varint(page, place)
            yield _payload(pages, page, place, length, kind == _TABLE_LEAF)
        except (IndexError, ValueError):
            continue


def _payload(pages: Pages, page: bytes, place: int, length: int, in_table: bool) -> bytes:
    """A record's bytes, of which a long one has the rest on a chain of other pages."""
    if length > pages.longest:
        raise ValueError("longer than the file")
    most = pages.size - 35 if in_table else (pages.size - 12) * 64 // 255 - 23
    if length <= most:
        return page[place : place + length]
    least = (pages.size - 12) * 32 // 255 - 23
    here = least + (length - least) % (pages.size - 4)
    here = here if here <= most else least
    parts, left = [page[place : place + here]], length - here
    following = int.from_bytes(page[place + here : place + here + 4], "big")
    while left > 0:
        page = pages.newest(following)
        if not page:
            raise ValueError("the rest is lost")
        following = int.from_bytes(page[:4], "big")
        parts.append(page[4 : 4 + min(left, pages.size - 4)])
        left -= pages.size - 4
    return b"".join(parts)


def _header(payload: bytes) -> tuple[list[int], int]:
    """The columns' serial types, and where their values begin."""
    end, place = _varint(payload, 0)
    if end > len(payload):
        raise ValueError("longer than the record")
    kinds = []
    while place < end:
        kind, place = _varint(payload, place)
        kinds.append(kind)
    return kinds, end


def _values(payload: bytes, kinds: list[int], place: int) -> Record:
    values: list[int | float | str | bytes | None] = []
    for kind in kinds:
        length = _INTEGERS.get(kind, 0) if kind < 7 else 8 if kind == 7 else max(0, kind - 12) // 2
        raw = payload[place : place + length]
        if len(raw) < length or kind in {10, 11}:
            raise ValueError("cut short")
        place += length
        if kind >= 12:
            values.append(raw.decode() if kind % 2 else raw)
        elif kind == 7:
            values.append(struct.unpack(">d", raw)[0])
        else:
            values.append(None if kind == 0 else kind - 8 if kind >= 8 else int.from_bytes(raw, "big", signed=True))
    return tuple(values)


def _varint(data: bytes, place: int) -> tuple[int, int]:
    """A number of one to nine bytes, and where what follows begins."""
    byte = data[place]
    if byte < 128:
        return byte, place + 1
    value = byte & 127
    for i in range(1, 8):
        byte = data[place + i]
        value = value << 7 | byte & 127
        if byte < 128:
            return value, place + i + 1
    return value << 8 | data[place + 8], place + 9


def _page_size(main: BinaryIO | None, log: BinaryIO | None) -> int:
    head = _read(main, 0, 18)
    if head.startswith(_HEADER):
        size = int.from_bytes(head[16:18], "big")
        size = 65_536 if size == 1 else size
        if size in _SIZES:
            return size
    head = _read(log, 0, 12)
    if int.from_bytes(head[:4], "big") in _WAL_MAGIC and (size := int.from_bytes(head[8:12], "big")) in _SIZES:
        return size
    return _USUAL_SIZE


def _read(file: BinaryIO | None, start: int, length: int) -> bytes:
    if file is None:
        return b""
    file.seek(start)
    return file.read(length)
