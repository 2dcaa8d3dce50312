"""Reading kept.lock, the committed record of an experiment's runs.

    parse(data)     # the lock as a dict, in the shape of its TOML
    parse(b"...")   # LockError: conflict marker, newer version, spliced block...

The format is docs/spec/lockfile.md. What this module accepts and refuses is
held to the vectors in testdata/lockfile, which it shares with the program.
"""

from __future__ import annotations

import re

from kept import _blake3, _paths
from kept._errors import KeptError
from kept._toml import Date, TOMLError
from kept._toml import parse as parse_toml

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from kept._toml import Path

    Table = dict[str, Any]

VERSION = 1
_MAX_SIZE = 16 << 20
_MARKER = re.compile(rb"^(?:<{7}|={7}|>{7}|\|{7})", re.MULTILINE)
_DIGEST = re.compile(r"blake3:[0-9a-f]{64}")
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_ESCAPED = re.compile(r'["\\\x00-\x1f\x7f]')
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r"}


class LockError(KeptError):
    """A lock that cannot be trusted. ``line`` counts from 1; ``kind`` is a word of the vectors."""

    def __init__(self, kind: str, line: int, reason: str, hint: str = "") -> None:
        super().__init__(f"kept.lock, line {line}: {reason}", hint)
        self.args = (kind, line, reason, hint)  # what pickle makes it from again
        self.kind = kind
        self.line = line


def parse(data: bytes) -> Table:
    """Return a lock as its TOML tables, without the empty ones that mean nothing.

    Keys that this version does not know are kept. Everything else about it is
    checked, the results of all stages included: what cannot be trusted is
    refused as a whole with a LockError.
    """
    if len(data) > _MAX_SIZE:
        raise LockError("limit", 1, f"the lock is larger than {_MAX_SIZE} bytes")
    if data.startswith(b"\xef\xbb\xbf"):
        data = data[3:]
    data = data.replace(b"\r\n", b"\n")
    marker = _MARKER.search(data)
    if marker:
        line = data.count(b"\n", 0, marker.start()) + 1
        raise LockError("conflict", line, "conflict marker of an unfinished merge", "finish the merge, then kept run")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise LockError("toml", data.count(b"\n", 0, error.start) + 1, "not valid TOML: not UTF-8") from None
    try:
        tree, lines = parse_toml(text)
    except TOMLError as error:
        raise LockError("limit" if error.limit else "toml", error.line, error.reason) from None
    reader = _Reader(lines)
    lock = reader.lock(tree)
    reader.check_places(lock)
    reader.check_results(lock)
    return lock


def digest(name: str, stage: Table) -> str:
    """Return what a stage's ``result`` must be: the digest of its block's canonical text without it."""
    block = {key: value for key, value in stage.items() if key != "result"}
    return "blake3:" + _blake3.hexdigest("\n".join(_tables(("stage", name), block)).encode())


class _Reader:
    """Checks a lock table by table. What a method returns is the table's canonical content."""

    def __init__(self, lines: dict[Path, int]) -> None:
        self.lines = lines

    def refuse(self, kind: str, path: Path, reason: str, hint: str = "") -> LockError:
        where = _dotted(path)
        return LockError(kind, self.line(path), f"{where}: {reason}" if where else reason, hint)

    def line(self, path: Path) -> int:
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)

    def lock(self, tree: Table) -> Table:
        version = tree.get("version")
        if version is None:
            raise self.refuse("version", (), "version is missing")
        if type(version) is not int:
            raise self.refuse("version", ("version",), f"version is {_describe(version)}, want an integer")
        if version < 1:
            raise self.refuse("version", ("version",), f"version {version} is none")
        if version > VERSION:
            raise self.refuse(
                "version",
                ("version",),
                f"the lock has format version {version} and this kept reads up to version {VERSION}",
                "pip install --upgrade kept",
            )
        lock = self.table(tree, (), {"artifact": self.artifacts, "stage": self.stages})
        return _without_empty(lock, "artifact", "stage")

    def stages(self, path: Path, value: Any) -> Table:
        return self.entries(path, value, self.name, self.stage)

    def stage(self, path: Path, table: Table) -> Table:
        self.require(path, table, "result", "command")
        stage = self.table(
            table,
            path,
            {
                "result": self.digest,
                "command": self.text,
                "artifact": self.artifacts,
                "code": self.inputs,
                "input": self.inputs,
                "environment": self.environment,
                "history": lambda p, v: self.entries(p, v, None, self.digest),
                "logged": lambda p, v: self.entries(p, v, None, self.param),
                "metrics": lambda p, v: self.entries(p, v, None, self.metric),
                "params": lambda p, v: self.entries(p, v, None, self.param),
            },
        )
        for key in stage.get("logged", {}):
            if key in stage.get("params", {}):
                raise self.refuse("value", (*path, "logged", key), "a parameter is logged or out of a file, not both")
        return _without_empty(
            stage, "artifact", "code", "input", "environment", "history", "logged", "metrics", "params"
        )

    def artifacts(self, path: Path, value: Any) -> Table:
        return self.entries(path, value, self.name, self.artifact)

    def artifact(self, path: Path, value: Any) -> Table:
        table = self.is_table(path, value)
        self.require(path, table, "path", "hash", "size")
        known: dict[str, Callable[[Path, Any], Any]] = {
            "path": self.place,
            "hash": self.digest,
            "size": self.count,
            "files": self.count,
            "executable": self.flag,
        }
        artifact = self.table(table, path, known)
        if artifact.get("executable") is False:
            del artifact["executable"]
        if "executable" in artifact and "files" in artifact:
            raise self.refuse("value", (*path, "executable"), "a folder is not executable")
        return artifact

    def inputs(self, path: Path, value: Any) -> Table:
        return self.entries(path, value, self.input_path, self.input)

    def input(self, path: Path, value: Any) -> Table:
        table = self.is_table(path, value)
        self.require(path, table, "hash")
        return self.table(table, path, {"hash": self.digest, "size": self.count, "files": self.count})

    def environment(self, path: Path, value: Any) -> Table:
        known: dict[str, Callable[[Path, Any], Any]] = {
            "packages": self.digest,
            "platform": self.text,
            "runtime": self.text,
            "file": lambda p, v: self.entries(p, v, self.input_path, self.environment_file),
        }
        return _without_empty(self.table(self.is_table(path, value), path, known), "platform", "runtime", "file")

    def environment_file(self, path: Path, value: Any) -> Table:
        table = self.is_table(path, value)
        self.require(path, table, "hash")
        return self.table(table, path, {"hash": self.digest})

    def table(self, table: Table, path: Path, known: dict[str, Callable[[Path, Any], Any]]) -> Table:
        """Check each key by what is known of it, and an unknown one for being plain."""
        return {key: known.get(key, self.plain)((*path, key), value) for key, value in table.items()}

    def entries(
        self,
        path: Path,
        value: Any,
        check_name: Callable[[Path, str], None] | None,
        entry: Callable[[Path, Any], Any],
    ) -> Table:
        entries = {}
        for name, content in self.is_table(path, value).items():
            if check_name:
                self.is_table((*path, name), content)
                check_name((*path, name), name)
            entries[name] = entry((*path, name), content)
        return entries

    def require(self, path: Path, table: Table, *keys: str) -> None:
        for key in keys:
            if key not in table:
                raise self.refuse("value", path, f"{key} is missing")

    def is_table(self, path: Path, value: Any) -> Table:
        if not isinstance(value, dict):
            raise self.refuse("value", path, f"{_describe(value)} where a table belongs")
        return value

    def name(self, path: Path, name: str) -> None:
        if not _NAME.fullmatch(name) or name in (".", ".."):
            raise self.refuse("value", path, f"name {name!r} is not 1 to 64 of A-Z a-z 0-9 _ . -")

    def input_path(self, path: Path, name: str) -> None:
        reason = _paths.input_refusal(name)
        if reason:
            raise self.refuse("path", path, f'path "{name}" is not allowed: {reason}')

    def place(self, path: Path, value: Any) -> str:
        text = self.text(path, value)
        reason = _paths.refusal(text)
        if reason:
            raise self.refuse("path", path, f'path "{text}" is not allowed: {reason}')
        return text

    def text(self, path: Path, value: Any) -> str:
        if not isinstance(value, str) or isinstance(value, Date):
            raise self.refuse("value", path, f"{_describe(value)} where a string belongs")
        return value

    def digest(self, path: Path, value: Any) -> str:
        if not isinstance(value, str) or isinstance(value, Date):
            raise self.refuse("value", path, f"{_describe(value)} where a digest belongs")
        if not _DIGEST.fullmatch(value):
            raise self.refuse("digest", path, f"not a digest: {value!r}")
        if value.endswith("0" * 64):
            raise self.refuse("digest", path, "the digest of 64 zeros stands for none")
        return value

    def count(self, path: Path, value: Any) -> int:
        if type(value) is not int:
            raise self.refuse("value", path, f"{_describe(value)} where an integer belongs")
        if value < 0:
            raise self.refuse("value", path, f"{value} is negative")
        return value

    def flag(self, path: Path, value: Any) -> bool:
        if not isinstance(value, bool):
            raise self.refuse("value", path, f"{_describe(value)} where a boolean belongs")
        return value

    def metric(self, path: Path, value: Any) -> int | float:
        if type(value) is not int and type(value) is not float:
            raise self.refuse("value", path, f"metric is {_describe(value)}, want a number")
        return value

    def param(self, path: Path, value: Any) -> Any:
        if isinstance(value, dict):
            raise self.refuse("value", path, "a table is no value; keys of values are written flat and quoted")
        if isinstance(value, list):
            return [self.param(path, element) for element in value]
        return self.plain(path, value)

    def plain(self, path: Path, value: Any) -> Any:
        if isinstance(value, Date):
            raise self.refuse("value", path, f"{_describe(value)} is no value of a lock")
        if isinstance(value, dict):
            return {key: self.plain((*path, key), below) for key, below in value.items()}
        if isinstance(value, list):
            return [self.plain(path, element) for element in value]
        return value

    def check_places(self, lock: Table) -> None:
        """Refuse two artifacts of which one would be restored over or into the other."""
        places: list[tuple[tuple[str, ...], Path, Table]] = []
        places += [(_paths.folded(a["path"]), ("artifact", n, "path"), a) for n, a in lock.get("artifact", {}).items()]
        for stage, block in lock.get("stage", {}).items():
            for name, artifact in block.get("artifact", {}).items():
                key: Path = ("stage", stage, "artifact", name, "path")
                places.append((_paths.folded(artifact["path"]), key, artifact))
        # A folder sorts directly before what lies in it.
        places.sort(key=lambda place: place[:2])
        for (outer, outer_key, a), (inner, key, b) in zip(places, places[1:]):
            if inner[: len(outer)] == outer:
                where = f'"{a["path"]}", the path of {_dotted(outer_key)}'
                raise self.refuse("path", key, f'path "{b["path"]}" lies at or in {where}')

    def check_results(self, lock: Table) -> None:
        for name, stage in sorted(lock.get("stage", {}).items()):
            if stage["result"] != digest(name, stage):
                raise LockError(
                    "spliced",
                    self.line(("stage", name, "result")),
                    f'stage "{name}": a block that was spliced together by a merge or edited by hand: '
                    "its result is not the digest of its content",
                    f"kept run {name}",
                )


def _without_empty(table: Table, *keys: str) -> Table:
    return {key: value for key, value in table.items() if key not in keys or value not in ({}, "")}


def _tables(path: Path, table: Table) -> list[str]:
    """Return a table and those below it as canonical text, one string per table."""
    members, below = [], []
    for key, value in sorted(table.items()):
        if isinstance(value, dict):
            below += _tables((*path, key), value)
        else:
            members.append(_member(key, value))
    if members or not table:
        return [f"[{_dotted(path)}]\n" + "".join(members), *below]
    return below


def _member(key: str, value: Any) -> str:
    if isinstance(value, list) and value:
        return f"{_key(key)} = [\n" + "".join([f"  {_inline(element)},\n" for element in value]) + "]\n"
    return f"{_key(key)} = {_inline(value)}\n"


def _inline(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, list):
        return "[" + ", ".join([_inline(element) for element in value]) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join([f"{_key(key)} = {_inline(below)}" for key, below in sorted(value.items())]) + "}"
    return repr(value)


def _string(text: str) -> str:
    return '"' + _ESCAPED.sub(lambda m: _ESCAPES.get(m.group(), f"\\u{ord(m.group()):04X}"), text) + '"'


def _key(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) else _string(key)


def _dotted(path: Path) -> str:
    return ".".join([_key(part) for part in path])


def _describe(value: Any) -> str:
    if isinstance(value, Date):
        return "a date or time"
    names = ((bool, "a boolean"), (int, "an integer"), (float, "a float"), (str, "a string"), (list, "an array"))
    return next((name for kind, name in names if isinstance(value, kind)), "a table")
