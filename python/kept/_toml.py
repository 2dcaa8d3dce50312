"""A TOML parser that says on which line every key stands.

The standard library has one from Python 3.11 on, without lines and without a
limit of depth. This one reads TOML 1.0 and the inline tables and escapes of
1.1. A date or time is read as a Date, which no lock may hold.
"""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Path = tuple[str, ...]

MAX_DEPTH = 16  # keys and array levels that may lead to a value

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_COMMENT = re.compile(r"#[^\x00-\x08\x0a-\x1f\x7f]*")
_BASIC = re.compile(r"[^\"\\\x00-\x08\x0a-\x1f\x7f]*")
_LITERAL = re.compile(r"[^'\x00-\x08\x0a-\x1f\x7f]*")
_LONG_BASIC = re.compile(r"[^\"\\\x00-\x08\x0b-\x1f\x7f]*")
_LONG_LITERAL = re.compile(r"[^'\x00-\x08\x0b-\x1f\x7f]*")
_LINE_END = re.compile(r"[ \t]*\n[ \t\n]*")
_TIME = r"[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?"
_DIGITS = r"[0-9](?:_?[0-9])*"
_DATE = re.compile(rf"[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}(?:[Tt ]{_TIME}(?:[Zz]|[+-][0-9]{{2}}:[0-9]{{2}})?)?|{_TIME}")
_WHOLE = r"(?:0|[1-9](?:_?[0-9])*)"
_EXPONENT = rf"[eE][+-]?{_DIGITS}"
_FLOAT = re.compile(rf"[+-]?(?:inf|nan|{_WHOLE}(?:\.{_DIGITS}(?:{_EXPONENT})?|{_EXPONENT}))")
_PREFIXED = re.compile(r"0x[0-9A-Fa-f](?:_?[0-9A-Fa-f])*|0o[0-7](?:_?[0-7])*|0b[01](?:_?[01])*")
_DECIMAL = re.compile(rf"[+-]?{_WHOLE}")
_ESCAPES = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", "e": "\x1b", '"': '"', "\\": "\\"}
_HEX_ESCAPES = {"x": 2, "u": 4, "U": 8}


_IMPLIED, _DEFINED, _CLOSED = -1, -2, -3


class TOMLError(ValueError):
    """Text that is not TOML, on a line counted from 1."""

    def __init__(self, line: int, reason: str, limit: bool = False) -> None:
        super().__init__(f"line {line}: {reason}")
        self.line = line
        self.reason = reason
        # The text may be TOML but is nested too deep to be read.
        self.limit = limit


class Date(str):
    """A date or time as it is written."""


class _Table(dict):  # type: ignore[type-arg]
    """A table under construction; ``made`` is who may add to it.

    _IMPLIED: created on the way to another table, a header may still define it.
    _DEFINED: defined by a header, only headers of tables below it may add to it.
    _CLOSED: an inline table, nobody may. A number from 0: created by a dotted
    key in the section of that number, whose dotted keys may add to it.
    """

    made = -1


def parse(text: str) -> tuple[dict[str, Any], dict[Path, int]]:
    """Return the document, and the line of every key and table in it by its path."""
    parser = _Parser(text)
    parser.document()
    return parser.root, parser.lines


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.pos = 0
        self.root = _Table()
        self.lines: dict[Path, int] = {}
        self.section = 0
        self._counted = (0, 1)

    def document(self) -> None:
        table: _Table = self.root
        path: Path = ()
        section = 0
        while True:
            self.skip_lines()
            if self.pos == len(self.text):
                return
            if self.peek() == "[":
                table, path = self.header()
                self.section += 1
                section = self.section
            else:
                self.member(table, path, section, 0)
            self.end_line()

    def header(self) -> tuple[_Table, Path]:
        start = self.pos
        brackets = 2 if self.text.startswith("[[", start) else 1
        self.pos += brackets
        path = self.key()
        self.check_depth(len(path) + brackets - 1, start)
        if not self.text.startswith("]" * brackets, self.pos):
            raise self.error("a table header is not closed", start)
        self.pos += brackets
        table = self.root
        for i, part in enumerate(path[:-1]):
            table = self.step(table, part, path[: i + 1], start)
        entry = table.get(path[-1])
        if brackets == 2:
            if entry is None:
                entry = table[path[-1]] = _ArrayOfTables()
            if not isinstance(entry, _ArrayOfTables):
                raise self.defined(path, start)
            entry.append(_Table())
            entry = entry[-1]
        elif entry is None:
            entry = table[path[-1]] = _Table()
        elif not isinstance(entry, _Table) or entry.made != _IMPLIED:
            raise self.defined(path, start)
        entry.made = _DEFINED
        self.note(path, start)
        return entry, path

    def step(self, table: _Table, part: str, path: Path, start: int) -> _Table:
        """Go from a header's table to the next one on its path."""
        entry = table.setdefault(part, _Table())
        if isinstance(entry, _ArrayOfTables):
            entry = entry[-1]
        if not isinstance(entry, _Table) or entry.made == _CLOSED:
            raise self.defined(path, start)
        return entry

    def member(self, table: _Table, path: Path, section: int, arrays: int) -> None:
        """Read ``key = value`` into a table at ``path``, below that many array levels."""
        start = self.pos
        key = self.key()
        self.check_depth(len(path) + len(key) + arrays, start)
        if self.peek() != "=":
            raise self.error("a key without a value", start)
        self.pos += 1
        self.skip_blanks()
        for i, part in enumerate(key[:-1]):
            if part not in table:
                table[part] = _Table()
                table[part].made = section
            below = table[part]
            if not isinstance(below, _Table) or below.made != section:
                raise self.defined((*path, *key[: i + 1]), start)
            table = below
        full = (*path, *key)
        if key[-1] in table:
            raise self.defined(full, start)
        self.note(full, start)
        table[key[-1]] = self.value(full, arrays)

    def key(self) -> Path:
        parts = []
        while True:
            self.skip_blanks()
            start = self.pos
            quote = self.peek()
            if quote in ('"', "'") and quote:
                if self.text.startswith(quote * 3, start):
                    raise self.error("a key cannot be a multi-line string", start)
                parts.append(self.string())
            else:
                match = _BARE_KEY.match(self.text, start)
                if not match:
                    raise self.error("a key belongs here", start)
                parts.append(match.group())
                self.pos = match.end()
            if len(parts) > MAX_DEPTH:
                self.check_depth(len(parts), start)
            self.skip_blanks()
            if self.peek() != ".":
                return tuple(parts)
            self.pos += 1

    def value(self, path: Path, arrays: int) -> Any:
        start = self.pos
        first = self.peek()
        if first in ('"', "'") and first:
            return self.string()
        if first == "[":
            return self.array(path, arrays + 1)
        if first == "{":
            return self.inline_table(path, arrays)
        for word, value in (("true", True), ("false", False)):
            if self.text.startswith(word, start):
                self.pos += len(word)
                return value
        for pattern, convert in ((_DATE, Date), (_FLOAT, _to_float), (_PREFIXED, _to_int), (_DECIMAL, _to_int)):
            match = pattern.match(self.text, start)
            if match:
                self.pos = match.end()
                try:
                    return convert(match.group())
                except ValueError:
                    raise self.error(f"{match.group()} is out of range", start) from None
        raise self.error("a value belongs here", start)

    def array(self, path: Path, arrays: int) -> list[Any]:
        start = self.pos
        self.pos += 1
        values: list[Any] = []
        while True:
            self.skip_lines()
            if self.peek() == "]":
                self.pos += 1
                return values
            if self.pos < len(self.text):
                self.check_depth(len(path) + arrays, self.pos)
            values.append(self.value(path, arrays))
            self.skip_lines()
            if self.peek() == ",":
                self.pos += 1
            elif self.peek() != "]":
                raise self.error("an array is not closed", start)

    def inline_table(self, path: Path, arrays: int) -> _Table:
        start = self.pos
        self.pos += 1
        table = _Table()
        # A section of its own, so that dotted keys inside see only each other.
        self.section += 1
        section = self.section
        while True:
            self.skip_lines()
            if self.peek() == "}":
                self.pos += 1
                _close(table)
                return table
            self.member(table, path, section, arrays)
            self.skip_lines()
            if self.peek() == ",":
                self.pos += 1
            elif self.peek() != "}":
                raise self.error("an inline table is not closed", start)

    def string(self) -> str:
        start = self.pos
        quote = self.text[start]
        long = self.text.startswith(quote * 3, start)
        self.pos += 3 if long else 1
        if long and self.peek() == "\n":
            self.pos += 1
        plain = (_LONG_BASIC if long else _BASIC) if quote == '"' else (_LONG_LITERAL if long else _LITERAL)
        parts = []
        while True:
            match = plain.match(self.text, self.pos)
            assert match  # noqa: S101  every pattern matches the empty string
            parts.append(match.group())
            self.pos = match.end()
            at = self.peek()
            if at == "\\" and quote == '"':
                parts.append(self.escape(long))
            elif at != quote:
                if at and at != "\n":
                    raise self.error(f"a string cannot hold the character U+{ord(at):04X}", self.pos)
                raise self.error("a string is not closed", start)
            elif not long:
                self.pos += 1
                return "".join(parts)
            else:
                run = self.run(quote)
                self.pos += run
                if run > 5:
                    raise self.error("a string is not closed", start)
                if run >= 3:
                    return "".join(parts) + quote * (run - 3)
                parts.append(quote * run)

    def run(self, quote: str) -> int:
        end = self.pos
        while self.text.startswith(quote, end):
            end += 1
        return end - self.pos

    def escape(self, long: bool) -> str:
        start = self.pos
        self.pos += 2
        letter = self.text[start + 1 : start + 2]
        if letter in _ESCAPES:
            return _ESCAPES[letter]
        digits = _HEX_ESCAPES.get(letter)
        if digits:
            code = self.text[self.pos : self.pos + digits]
            self.pos += digits
            if re.fullmatch(f"[0-9A-Fa-f]{{{digits}}}", code):
                number = int(code, 16)
                if number < 0xD800 or 0xDFFF < number <= 0x10FFFF:
                    return chr(number)
            raise self.error("an escape is no Unicode character", start)
        match = _LINE_END.match(self.text, start + 1) if long else None
        if match:
            self.pos = match.end()
            return ""
        raise self.error(f"unknown escape \\{letter}", start)

    def end_line(self) -> None:
        self.skip_blanks()
        self.skip_comment()
        if self.pos < len(self.text) and self.peek() != "\n":
            raise self.error("the line goes on after its end", self.pos)

    def skip_lines(self) -> None:
        while True:
            self.skip_blanks()
            self.skip_comment()
            if self.peek() != "\n":
                return
            self.pos += 1

    def skip_blanks(self) -> None:
        while self.text.startswith((" ", "\t"), self.pos):
            self.pos += 1

    def skip_comment(self) -> None:
        match = _COMMENT.match(self.text, self.pos)
        if match:
            self.pos = match.end()

    def peek(self) -> str:
        return self.text[self.pos : self.pos + 1]

    def note(self, path: Path, pos: int) -> None:
        line = self.line(pos)
        for n in range(1, len(path)):
            self.lines.setdefault(path[:n], line)
        self.lines[path] = line

    def check_depth(self, depth: int, pos: int) -> None:
        if depth > MAX_DEPTH:
            raise TOMLError(self.line(pos), f"nested more than {MAX_DEPTH} levels deep", limit=True)

    def line(self, pos: int) -> int:
        at, line = self._counted if self._counted[0] <= pos else (0, 1)
        line += self.text.count("\n", at, pos)
        self._counted = (pos, line)
        return line

    def defined(self, path: Path, pos: int) -> TOMLError:
        return self.error(f"key {'.'.join(path)!r} has already been defined", pos)

    def error(self, reason: str, pos: int) -> TOMLError:
        return TOMLError(self.line(pos), f"not valid TOML: {reason}")


class _ArrayOfTables(list):  # type: ignore[type-arg]
    """An array written with [[headers]], which more of them may extend."""


def _close(table: _Table) -> None:
    table.made = _CLOSED
    for value in table.values():
        if isinstance(value, _Table):
            _close(value)


def _to_int(text: str) -> int:
    value = int(text, 0) if text[:2] in ("0x", "0o", "0b") else int(text)
    if not -(2**63) <= value < 2**63:
        raise ValueError(text)
    return value


def _to_float(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")) and not text.endswith("inf"):
        raise ValueError(text)
    return value
