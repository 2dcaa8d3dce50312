"""kept.lock: the vectors that all implementations share, and reading a lock in a program."""

from __future__ import annotations

import json
import math
import pickle
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support import Experiment

import kept
from kept import _blake3, _lock, _toml

VECTORS = Path(__file__).parents[2] / "testdata" / "lockfile"
VALID = sorted(file for file in (VECTORS / "valid").glob("*.lock") if not file.name.endswith(".canonical.lock"))
INVALID = sorted((VECTORS / "invalid").glob("*.lock"))


def test_vectors_are_there() -> None:
    assert len(VALID) >= 20
    assert len(INVALID) >= 80


@pytest.mark.parametrize("file", VALID, ids=lambda file: file.stem)
def test_valid_vector(file: Path) -> None:
    want = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
    lock = _lock.parse(file.read_bytes())
    assert neutral(lock) == want["lock"]
    if want["canonical"]:
        return
    canonical = file.with_name(file.stem + ".canonical.lock").read_bytes()
    assert comparable(lock) == comparable(_lock.parse(canonical))


@pytest.mark.parametrize("file", INVALID, ids=lambda file: file.stem)
def test_invalid_vector(file: Path) -> None:
    kind, want = file.with_suffix(".txt").read_text(encoding="utf-8").splitlines()[:2]
    with pytest.raises(_lock.LockError) as raised:
        _lock.parse(file.read_bytes())
    assert raised.value.kind == kind
    line = re.match(r"line (\d+)\b", want)
    if line:
        assert raised.value.line == int(line.group(1)), raised.value


# What a result covers depends on what the TOML says, so the standard library, where it has a parser, is the judge.
EDGES = [
    "[a]\nb.c = 1\n[a.b]\n",
    "[a]\nb.c = 1\n[a.b.d]\nx = 1\n",
    "[a.b]\n[a]\nx = 1\n",
    "[a]\nx = 1\n[a]\n",
    "a = {b = 1}\n[a.c]\n",
    "a = {b = 1}\na.c = 2\n",
    "[a.b]\nx = 1\n[a]\nb.c = 2\n",
    "a.b = 1\na.c = 2\n",
    "a.b = 1\n[a]\nc = 2\n",
    "[[a]]\n[a]\n",
    "a = []\n[[a]]\n",
    "[[a]]\nx = 1\n[a.b]\ny = 2\n[[a]]\n[a.b]\n",
    "a = {b.c = 1, b.d = 2}\n",
    "a = {b.c = 1}\na.b.d = 2\n",
    "a = 1 b = 2\n",
    "a = [1,\n # comment\n 2,]\n",
    "a = [1 2]\n",
    'a = "tab\there"\n',
    'a = "\x01"\n',
    "a = 1\rb = 2\n",
    "a = 1__0\n",
    "a = 1.\n",
    "a = .5\n",
    "a = 01\n",
    "a = -0x1\n",
    "a = 1e\n",
    "a = \u0661\n",
    "\u0661 = 1\n",
    "a = tru\n",
    "= 1\n",
    '"" = 1\n',
    'a."b.c".d = 1\n',
    'a = """\\\n   x \\  \n\n y"""\n',
    'a = """a\\ b"""\n',
    'a = "\\ud800"\n',
    "a = '''''x'''''\n",
    'a = """"x""""\n',
    "[ a . 'b' ]\n",
    "[a\n]\n",
    "[]\n",
    "a = 07:32:00\n",
    "a = 1979-05-27 07:32:00\n",
    "a.b\n",
    "a = #\n",
    "a = 1 # \x7f\n",
    "a",
    "a =",
    "[",
    "a = {",
    "a = [",
    "a = '",
    "a = '''",
    '"',
    "",
    "#",
]

if sys.version_info >= (3, 11):
    import tomllib

    @pytest.mark.parametrize("text", EDGES)
    def test_what_is_toml(text: str) -> None:
        try:
            want = comparable(tomllib.loads(text))
        except tomllib.TOMLDecodeError:
            with pytest.raises(_toml.TOMLError):
                _toml.parse(text)
        else:
            assert comparable(_toml.parse(text)[0]) == want

    @pytest.mark.parametrize("file", [f for f in VALID if f.stem != "layout-bom"], ids=lambda file: file.stem)
    def test_vectors_are_read_as_the_standard_library_reads_them(file: Path) -> None:
        text = file.read_bytes().decode().replace("\r\n", "\n")
        assert comparable(_toml.parse(text)[0]) == comparable(tomllib.loads(text))


@pytest.mark.parametrize(
    "path", ["a", "models/model.pkl", "é/日本.txt", ".gitignore", "git~a", "CONSOLE", "com", "a.b c"]
)
def test_allowed_paths(path: str) -> None:
    assert lock_with_path(path)["artifact"]["a"]["path"] == path


@pytest.mark.parametrize(
    "path",
    [
        "", "/a", "a/", "a//b", ".", "..", "a/../b", "../a", ".git/hooks/post-checkout", "a/.GIT", "GIT~1", "git~27/x",
        ".g\u200cit/x", ".git.", "a\\b", "C:x", "a:stream", "nul", "AUX.txt", "nul .txt", "com1", "LPT¹.x", "CONIN$",
        "a.", "a ", "a\tb", "a\x7f", "a\x9f", "a?", "a*", 'a"', "a|b", "<a", "x" * 256, "é" * 128,
        "/".join(["a"] * 2049),
    ],
)  # fmt: skip
def test_refused_paths(path: str) -> None:
    with pytest.raises(_lock.LockError) as raised:
        lock_with_path(path)
    assert raised.value.kind == "path"


def lock_with_path(path: str) -> dict[str, Any]:
    entry = {"path": path, "hash": "blake3:" + "1" * 64, "size": 1}
    return _lock.parse(("version = 1\n" + "".join(_lock._tables(("artifact", "a"), entry))).encode())


def test_blake3_of_known_texts() -> None:
    # The official test vectors' input: bytes counting up to 250, over and over.
    data = bytes(i % 251 for i in range(102400))
    for size, want in {
        0: "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
        1: "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213",
        1023: "10108970eeda3eb932baac1428c7a2163b0e924c9a9e25b35bba72b28f70bd11",
        1024: "42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7",
        1025: "d00278ae47eb27b34faecf67b4fe263f82d5412916c1ffd97c8cb7fb814b8444",
        2048: "e776b6028c7cd22a4d0ba182a8bf62205d2ef576467e838ed6f2529b85fba24a",
        4097: "9b4052b38f1c5fc8b1f9ff7ac7b27cd242487b3d890d15c96a1c25b8aa0fb995",
        31744: "62b6960e1a44bcc1eb1a611a8d6235b6b4b78f32e7abc4fb4c6cdcce94895c47",
    }.items():
        assert _blake3.pure(data[:size]) == want, size


def test_lock_is_the_experiments(experiment: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment.lock({"model": {"path": "model.pkl"}})
    (experiment.folder / "sub").mkdir()
    monkeypatch.chdir(experiment.folder / "sub")
    assert kept.lock()["stage"]["train"]["artifact"]["model"]["path"] == "model.pkl"


def test_lock_while_a_merge_is_settled(experiment: Experiment) -> None:
    # kept.lock has conflict markers then, and kept resolve says what to read instead.
    experiment.lock({"model": {"path": "model.pkl"}})
    settled = experiment.fake / "settled.lock"
    (experiment.folder / "kept.lock").rename(settled)
    (experiment.folder / "kept.lock").write_text("<<<<<<< ours\n")
    code = "import kept; print(kept.lock()['stage']['train']['artifact']['model']['path'])"
    done = experiment.python(code, **experiment.stage_env(), KEPT_LOCK=str(settled))
    assert done.returncode == 0, done.stderr
    assert done.stdout == "model.pkl\n"


def test_lock_of_a_commit(experiment: Experiment) -> None:
    def git(*args: str) -> None:
        identity = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", *identity, *args], cwd=experiment.folder, check=True, capture_output=True)  # noqa: S607

    experiment.lock({"model": {"path": "old.pkl"}})
    git("init", "-q", "--initial-branch=main")
    git("add", "kept.lock")
    git("commit", "-qm", "first", "--no-verify")
    git("tag", "v1")
    (experiment.folder / "kept.lock").unlink()
    experiment.lock({"model": {"path": "new.pkl"}})
    assert kept.lock("v1")["stage"]["train"]["artifact"]["model"]["path"] == "old.pkl"
    assert kept.lock()["stage"]["train"]["artifact"]["model"]["path"] == "new.pkl"
    with pytest.raises(kept.KeptError, match="of nosuch"):
        kept.lock("nosuch")


@pytest.mark.parametrize("rev", ["", "--output=x", "HEAD:other", "a\0b"])
def test_what_is_no_revision(experiment: Experiment, rev: str) -> None:
    with pytest.raises(ValueError, match="is no revision"):
        kept.lock(rev)


def test_no_lock_and_no_experiment(experiment: Experiment, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(kept.KeptError) as raised:
        kept.lock()
    assert raised.value.hint == "kept run"
    monkeypatch.chdir(tmp_path)
    with pytest.raises(kept.KeptError) as raised:
        kept.lock()
    assert raised.value.hint == "kept init"


def test_conflict_markers_name_their_line(experiment: Experiment) -> None:
    (experiment.folder / "kept.lock").write_text("version = 1\n<<<<<<< ours\n")
    with pytest.raises(kept.KeptError, match=r"line 2: conflict marker"):
        kept.lock()


def test_errors_survive_pickling() -> None:
    # They travel between processes, in multiprocessing for one.
    for error in (kept.KeptError("no", "do"), _lock.LockError("toml", 3, "no", "do")):
        again = pickle.loads(pickle.dumps(error))
        assert (type(again), str(again), again.hint) == (type(error), str(error), "do")


def comparable(value: Any) -> Any:
    """Return a TOML value such that equality is equality of type and text: nan is nan, 1 is not 1.0."""
    if isinstance(value, dict):
        return {key: comparable(below) for key, below in value.items()}
    if isinstance(value, list):
        return [comparable(below) for below in value]
    if isinstance(value, (bool, int, float)):
        return type(value).__name__, "nan" if isinstance(value, float) and math.isnan(value) else repr(value)
    return value if type(value) is str else "date"


def neutral(lock: dict[str, Any]) -> dict[str, Any]:
    """Return a lock in the shape of the vectors' JSON."""
    return {
        "artifacts": {name: entry(a, "path", "executable") for name, a in lock.get("artifact", {}).items()},
        "stages": {name: neutral_stage(stage) for name, stage in lock.get("stage", {}).items()},
        "unknown": rest(lock, "version", "artifact", "stage"),
    }


def neutral_stage(stage: dict[str, Any]) -> dict[str, Any]:
    known = ["artifact", "code", "command", "environment", "history", "input", "logged", "metrics", "params", "result"]
    out = {
        "artifacts": {name: entry(a, "path", "executable") for name, a in stage.get("artifact", {}).items()},
        "code": {path: entry(i) for path, i in stage.get("code", {}).items()},
        "command": stage["command"],
        "history": stage.get("history", {}),
        "logged": {key: value(v) for key, v in stage.get("logged", {}).items()},
        "inputs": {path: entry(i) for path, i in stage.get("input", {}).items()},
        "metrics": {key: value(v) for key, v in stage.get("metrics", {}).items()},
        "params": {key: value(v) for key, v in stage.get("params", {}).items()},
        "result": stage["result"],
        "unknown": rest(stage, *known),
    }
    environment = stage.get("environment")
    if environment is not None:
        files = environment.get("file", {})
        out["environment"] = {
            **{key: environment[key] for key in ("packages", "platform", "runtime") if key in environment},
            "files": {path: file["hash"] for path, file in files.items()},
            "unknown_of_files": {path: rest(file, "hash") for path, file in files.items() if len(file) > 1},
            "unknown": rest(environment, "packages", "platform", "runtime", "file"),
        }
    return out


def entry(table: dict[str, Any], *also: str) -> dict[str, Any]:
    known = ["hash", "size", "files", *also]
    out = {key: table[key] for key in known if key in table}
    if "executable" in also:
        out.setdefault("executable", False)
    return {**out, "unknown": rest(table, *known)}


def rest(table: dict[str, Any], *known: str) -> dict[str, Any]:
    return {key: value(below) for key, below in table.items() if key not in known}


def value(plain: Any) -> Any:
    if isinstance(plain, float):
        return {"float": "nan" if math.isnan(plain) else repr(plain)}
    if isinstance(plain, list):
        return [value(below) for below in plain]
    if isinstance(plain, dict):
        return {"table": {key: value(below) for key, below in plain.items()}}
    return plain
