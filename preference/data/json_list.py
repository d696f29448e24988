"""A JSON list of objects, one by one: it takes the memory of its largest object, not of the file."""

import codecs
import json
from collections.abc import Iterator
from typing import BinaryIO

from preference.errors import InputError
from preference.wording import shorten

BLOCK = 1 << 16  # bytes read at once
_SPACE = " \t\r\n"
_NOT_A_LIST = "write [{...}, {...}]"


def iterate_json_list(name: str, file: BinaryIO, block: int = BLOCK) -> Iterator[tuple[int, dict]]:
    """Give the objects of the list that `file` holds, each with its number, from 1; `block` bytes are read at once.

    Raises:
        InputError: the file is not UTF-8, not JSON, or not a list of objects; the text says in which line or row.
    """
    text = _Text(name, file, block)
    if text.next_sign() != "[":
        raise InputError(f"{name}: not a list of objects: {shorten(text.rest())}; {_NOT_A_LIST}")
    text.place += 1
    number = 0
    while (sign := text.next_sign()) != "]":
        if number:
            if sign != ",":
                raise text.wrong(f"{shorten(text.rest())} where , or ] should be" if sign else "the list does not end")
            text.place += 1
            text.next_sign()
        number += 1
        record = text.next_value(number)
        if not isinstance(record, dict):
            raise InputError(f"{name}, row {number}: not a JSON object: {shorten(json.dumps(record))}; write a list of objects")
        yield number, record
    text.place += 1
    if text.next_sign():
        raise text.wrong(f"{shorten(text.rest())} after the end of the list")


class _Text:
    """The part of a file's text that is not used yet: what stands at `place` and after it, as far as it was read."""

    def __init__(self, name: str, file: BinaryIO, block: int):
        self.name, self.file, self.block = name, file, block
        self.decode = codecs.getincrementaldecoder("utf-8-sig")().decode
        self.text, self.place, self.lines, self.ended = "", 0, 1, False

    def rest(self) -> str:
        return self.text[self.place : self.place + 60]

    def next_sign(self) -> str:
        """Go to the next character that is not white space, and return it; "" at the end."""
        while True:
            while self.place < len(self.text) and self.text[self.place] in _SPACE:
                self.place += 1
            if self.place < len(self.text):
                return self.text[self.place]
            if self.ended:
                return ""
            self._read_on()

    def next_value(self, number: int) -> object:
        """Return the value that begins at `place`, the list's `number`th, and go to its end."""
        while True:
            try:
                value, self.place = json.JSONDecoder().raw_decode(self.text, self.place)
                return value
            except RecursionError:
                raise InputError(f"{self.name}, row {number}: nested too deeply; write a list of flat objects") from None
            except json.JSONDecodeError as error:
                if self.ended:
                    self.place = error.pos
                    raise self.wrong(error.msg) from None
                self._read_on()

    def wrong(self, what: str) -> InputError:
        line = self.lines + self.text.count("\n", 0, self.place)
        return InputError(f"{self.name}:{line}: not JSON: {what}; write a list of objects")

    def _read_on(self) -> None:
        """Read at least as much as is not used yet, so that a long value is not parsed again for every block."""
        self.lines += self.text.count("\n", 0, self.place)
        self.text, self.place = self.text[self.place :], 0
        wanted = max(self.block, 2 * len(self.text))
        pieces = [self.text]
        while wanted > sum(map(len, pieces)) and not self.ended:
            block = self.file.read(self.block)
            self.ended = not block
            try:
                pieces.append(self.decode(block, self.ended))
            except UnicodeDecodeError as error:
                wrong = error.object[error.start]
                raise InputError(f"{self.name}: not UTF-8 after line {self.lines}: byte 0x{wrong:02x}; save the file as UTF-8") from None
        self.text = "".join(pieces)
