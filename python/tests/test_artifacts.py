"""load and path: verified bytes, and the formats."""

from __future__ import annotations

import io
import json
import os
import pickle
import sys
import types
from pathlib import Path
from typing import Any

import pytest
from support import Experiment

import kept
from kept import _formats


class Bomb:
    """Unpickles to a file being written."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> tuple[object, ...]:
        return (os.mkdir, (self.path,))


def test_load_reads_what_kept_verified(experiment: Experiment) -> None:
    experiment.lock({"scores": {"path": "out/scores.json"}})
    experiment.object("scores", b"[1]")
    experiment.object("scores@v1", b"[2]")
    assert kept.load("scores") == [1]
    assert experiment.calls() == [["cat", "--", "scores"]]


def test_load_of_a_revision_asks_for_its_bytes(experiment: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    from kept import _artifacts

    experiment.lock({"scores": {"path": "out/scores.json"}})
    locked = (experiment.folder / "kept.lock").read_bytes()
    asked: list[tuple[str, str]] = []

    def lock_at(rev: str, folder: str) -> bytes:
        asked.append((rev, folder))
        return locked

    monkeypatch.setattr(_artifacts, "_lock_at", lock_at)
    experiment.object("scores@v1", b"[2]")
    assert kept.load("scores", rev="v1") == [2]
    assert kept.path("scores", rev="v1") == experiment.fake / "objects" / "scores@v1"
    assert asked == [("v1", str(experiment.folder))]


def test_corrupt_bytes_are_never_deserialised(experiment: Experiment, tmp_path: Path) -> None:
    experiment.lock({"model": {"path": "model.pkl"}})
    bomb = pickle.dumps(Bomb(tmp_path / "exploded"))
    experiment.object("model", bomb)
    experiment.object("model.corrupt", b"")
    with pytest.raises(kept.KeptError, match="do not match the lock"):
        kept.load("model")
    assert not (tmp_path / "exploded").exists()
    (experiment.fake / "objects" / "model.corrupt").unlink()
    kept.load("model")
    assert (tmp_path / "exploded").exists(), "the same bytes, verified, are loaded"


def test_errors_and_hints_of_the_program_are_passed_on(experiment: Experiment) -> None:
    experiment.lock({"scores": {"path": "scores.json"}})
    for call in (kept.load, kept.path):
        with pytest.raises(kept.KeptError, match="object of 'scores' is missing") as raised:
            call("scores")
        assert raised.value.hint == "kept pull"
        assert str(raised.value).endswith("\nhint: kept pull")


def test_what_cannot_be_loaded(experiment: Experiment) -> None:
    experiment.lock({"data": {"path": "data", "files": 2}, "blob": {"path": "blob"}, "x": {"path": "x.weird"}})
    experiment.lock({"m": {"path": "a.json"}}, stage="one")
    experiment.lock({"m": {"path": "b.npy"}}, stage="two")
    for name, said, hint in [
        ("nosuch", r"no artifact 'nosuch' in kept.lock \(it has: blob, data, m, x\)", "kept show"),
        ("data", "is a folder", 'kept.path("data")'),
        ("blob", "no extension", "format="),
        ("x", "'weird' is not known", "format="),
        ("m", "several stages have an artifact 'm': a.json, b.npy", "different names"),
    ]:
        with pytest.raises(kept.KeptError, match=said) as raised:
            kept.load(name)
        assert hint in raised.value.hint
    assert experiment.calls() == [], "nothing is fetched that cannot be loaded"
    experiment.object("blob", b"[1]")
    assert kept.load("blob", format="json") == [1]


def test_a_name_is_no_option(experiment: Experiment) -> None:
    with pytest.raises(kept.KeptError):
        kept.path("--help")
    assert experiment.calls() == [["path", "--", "--help"]]
    with pytest.raises(ValueError, match="is no revision"):
        kept.path("model", rev="--help")


@pytest.mark.parametrize(
    ("obj", "format"),
    [({"é": [1, 2.5, None, True]}, "json"), ("é\r\n", "txt"), ({"a": {1, 2}}, "pkl"), ([1], "pickle"), ([1], ".JSON")],
)
def test_formats_without_libraries(tmp_path: Path, obj: Any, format: str) -> None:
    file = tmp_path / "new" / "x"
    _formats.dump(obj, str(file), format)
    with file.open("rb") as stream:
        assert _formats.load(stream, str(file), format) == obj


def test_json_is_plain(tmp_path: Path) -> None:
    class Array:
        def tolist(self) -> list[int]:
            return [1, 2]

    file = tmp_path / "x.json"
    _formats.dump({"a": Array()}, str(file), None)
    assert file.read_bytes() == b'{\n  "a": [\n    1,\n    2\n  ]\n}\n'
    with pytest.raises(ValueError, match="JSON"):
        _formats.dump(float("nan"), str(file), None)
    with pytest.raises(TypeError, match="is a str, not bytes"):
        _formats.dump(b"", str(tmp_path / "x.txt"), None)


def test_pickles_are_the_same_in_every_python(tmp_path: Path) -> None:
    file = tmp_path / "x.pkl"
    _formats.dump({"a": 1}, str(file), None)
    assert file.read_bytes() == b"\x80\x04\x95\n\x00\x00\x00\x00\x00\x00\x00}\x94\x8c\x01a\x94K\x01s."


@pytest.mark.skipif(os.name == "nt", reason="there is no umask")
def test_saved_files_have_the_usual_mode(tmp_path: Path) -> None:
    (tmp_path / "usual").touch()
    _formats.dump(1, str(tmp_path / "x.json"), None)
    assert (tmp_path / "x.json").stat().st_mode == (tmp_path / "usual").stat().st_mode


class Library(types.ModuleType):
    """Stands in for a library: notes what it is asked and pickles instead."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.asked: list[dict[str, Any]] = []

    def save(self, file: io.BufferedWriter, obj: Any, **options: Any) -> None:
        self.asked.append(options)
        file.write(json.dumps(obj).encode())

    def load(self, file: io.BufferedReader, **options: Any) -> Any:
        self.asked.append(options)
        return json.loads(file.read())


def test_npy_never_pickles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    numpy = Library("numpy")
    monkeypatch.setitem(sys.modules, "numpy", numpy)
    file = tmp_path / "x.npy"
    _formats.dump([1], str(file), None)
    with file.open("rb") as stream:
        assert _formats.load(stream, str(file), None) == [1]
    assert numpy.asked == [{"allow_pickle": False}] * 2


def test_npz_refuses_objects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Array:
        class dtype:  # noqa: N801
            hasobject = True

    numpy = types.ModuleType("numpy")
    numpy.asanyarray = lambda value: value  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "numpy", numpy)
    with pytest.raises(TypeError, match="array 'a' holds Python objects"):
        _formats.dump({"a": Array()}, str(tmp_path / "x.npz"), None)
    with pytest.raises(TypeError, match="a dict of arrays by name"):
        _formats.dump([1], str(tmp_path / "x.npz"), None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("format", ["npy", "npz", "safetensors", "skops", "joblib", "parquet", "csv"])
def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch, format: str) -> None:
    for name in ("numpy", "safetensors", "safetensors.numpy", "skops", "skops.io", "joblib", "pandas"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(kept.KeptError, match="this format needs") as raised:
        _formats.load(io.BytesIO(b""), "x", format)
    assert raised.value.hint.startswith("pip install ")


def test_safetensors_goes_by_the_mark_in_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in ("torch", "numpy"):
        module = types.ModuleType(f"safetensors.{kind}")
        module.load = lambda data, kind=kind: kind  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(sys.modules, "safetensors", types.ModuleType("safetensors"))
    for mark, want in {"pt": "torch", "np": "numpy", "": "numpy"}.items():
        header = json.dumps({"__metadata__": {"format": mark}} if mark else {}).encode()
        file = io.BytesIO(len(header).to_bytes(8, "little") + header)
        assert _formats.load(file, "x.safetensors", None) == want


def test_csv_has_no_index(tmp_path: Path) -> None:
    class Frame:
        columns = ("a",)
        index = (5, 6)

        def __len__(self) -> int:
            return 2

        def to_csv(self, **options: Any) -> str:
            return "a\n1\n2\n"

    frame = Frame()
    with pytest.raises(ValueError, match="reset_index"):
        _formats.dump(frame, str(tmp_path / "x.csv"), None)
    frame.index = (0, 1)
    _formats.dump(frame, str(tmp_path / "x.csv"), None)
    assert (tmp_path / "x.csv").read_text() == "a\n1\n2\n"
