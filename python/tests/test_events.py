"""What log_* and save write inside `kept run`."""

from __future__ import annotations

import enum
import json
import multiprocessing
import os
import pickle
import statistics
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from support import Experiment

import kept
from kept import _run


class Scalar:
    """What NumPy's scalars and zero-dimensional arrays and tensors look like."""

    def __init__(self, value: Any, shape: tuple[int, ...] = ()) -> None:
        self.value = value
        self.shape = shape

    def item(self) -> Any:
        return self.value

    def tolist(self) -> Any:
        return self.value

    def __index__(self) -> int:
        return int(self.value)


class Color(str, enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


@pytest.mark.parametrize(
    ("value", "want"),
    [
        (1, 1),
        (0.1, 0.1),
        (1.0, 1.0),
        (1e300, 1e300),
        (True, True),
        ("é \n \"'", "é \n \"'"),
        ([1, 2.5, "x", True, [1]], [1, 2.5, "x", True, [1]]),
        ((100, 50), [100, 50]),
        ([], []),
        (Scalar(3), 3),
        (Scalar(0.5), 0.5),
        (Scalar(False), False),
        ([Scalar(1)], [1]),
        (Color.RED, "red"),
        (Level.HIGH, 3),
        (-(2**63), -(2**63)),
    ],
)
def test_param_values(stage: Experiment, value: Any, want: Any) -> None:
    kept.log_param("p", value)
    assert stage.events() == [{"kind": "param", "name": "p", "value": want}]
    assert type(stage.events()[0]["value"]) is type(want)


@pytest.mark.parametrize(("value", "want"), [(float("nan"), "nan"), (float("inf"), "inf"), (-float("inf"), "-inf")])
def test_numbers_that_json_cannot_write(stage: Experiment, value: float, want: str) -> None:
    kept.log_param("p", value)
    kept.log_metric("m", Scalar(value))
    for event in stage.events():
        assert (event["value"], event["type"]) == (want, "float")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "not NoneType; leave it out"),
        (object(), "not object"),
        (1j, "not complex"),
        (b"x", "not bytes"),
        ({1}, "not set"),
        (Scalar([1, 2], (2,)), r"of shape \(2,\); call tolist\(\) first"),
        ([None], "not NoneType"),
    ],
)
def test_param_of_a_wrong_type_is_named(stage: Experiment, value: Any, said: str) -> None:
    with pytest.raises(TypeError, match=f"parameter 'model.p' must be .*{said}"):
        kept.log_params({"good": 1, "model": {"p": value}})
    assert stage.events() == []


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, [float("nan")], "\udc80"])
def test_param_of_a_wrong_value_is_named(stage: Experiment, value: Any) -> None:
    with pytest.raises(ValueError, match="parameter 'p'"):
        kept.log_param("p", value)
    assert stage.events() == []


def test_params_are_flattened(stage: Experiment) -> None:
    kept.log_params({"tfidf": {"ngram": {"max": 2}, "min": 1}, "empty": {}, "a.b": 3})
    assert [(e["name"], e["value"]) for e in stage.events()] == [("tfidf.ngram.max", 2), ("tfidf.min", 1), ("a.b", 3)]


@pytest.mark.parametrize("params", [{"a": {"b": 1}, "a.b": 2}, {"": 1}, {"a": {"": 1}}, {"\ud800": 1}])
def test_params_that_cannot_be_flattened(stage: Experiment, params: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="parameter"):
        kept.log_params(params)
    assert stage.events() == []


def test_names_are_strings(stage: Experiment) -> None:
    with pytest.raises(TypeError, match="must be a string, not int"):
        kept.log_params({"a": {1: 2}})
    with pytest.raises(TypeError, match="must be a string, not int"):
        kept.log_metric(1, 2)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="must not be empty"):
        kept.log_metric("", 2)


def test_metric(stage: Experiment) -> None:
    before = time.time()
    kept.log_metric("loss", 0.5, step=3)
    kept.log_metric("loss", Scalar(0.25), Scalar(4))  # type: ignore[arg-type]
    kept.log_metric("steps", 7)
    kept.log_metrics({"a": 1.0, "b": 2}, step=5)
    events = stage.events()
    assert all(before - 1 < event.pop("time") < time.time() + 1 for event in events)
    assert events == [
        {"kind": "metric", "name": "loss", "value": 0.5, "step": 3},
        {"kind": "metric", "name": "loss", "value": 0.25, "step": 4},
        {"kind": "metric", "name": "steps", "value": 7},
        {"kind": "metric", "name": "a", "value": 1.0, "step": 5},
        {"kind": "metric", "name": "b", "value": 2, "step": 5},
    ]


def test_floats_stay_floats_in_the_file(stage: Experiment) -> None:
    for value in (1.0, 1e16, 5e-324, 1):
        kept.log_metric("m", value)
    lines = (stage.fake / "run" / "events.jsonl").read_text().splitlines()
    assert [line.partition('"value":')[2].partition(",")[0] for line in lines] == ["1.0", "1e+16", "5e-324", "1"]


@pytest.mark.parametrize("value", [True, "0.5", None, 1j, [1], Scalar(True), Scalar([1.0], (1,))])
def test_metric_of_a_wrong_type_is_named(stage: Experiment, value: Any) -> None:
    with pytest.raises(TypeError, match="metric 'loss' must be a number"):
        kept.log_metric("loss", value)
    with pytest.raises(TypeError, match="metric 'loss'"):
        kept.log_metrics({"good": 1, "loss": value})
    assert stage.events() == []


def test_a_step_is_an_integer(stage: Experiment) -> None:
    with pytest.raises(TypeError, match="the step of metric 'loss' must be an integer, not float"):
        kept.log_metric("loss", 1, step=1.5)  # type: ignore[arg-type]


def test_threads_share_the_file(stage: Experiment) -> None:
    def log(thread: int) -> None:
        for step in range(200):
            kept.log_metric("x" * 500, thread, step)

    threads = [threading.Thread(target=log, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    by_thread = {i: [e["step"] for e in stage.events() if e["value"] == i] for i in range(8)}
    assert by_thread == {i: list(range(200)) for i in range(8)}


def log_some(worker: int) -> None:
    for step in range(100):
        kept.log_metric("x" * 500, worker, step)


@pytest.mark.parametrize("method", [m for m in ("fork", "spawn") if m in multiprocessing.get_all_start_methods()])
def test_processes_share_the_file(stage: Experiment, method: str) -> None:
    kept.log_metric("before", 1)
    context: Any = multiprocessing.get_context(method)
    workers = [context.Process(target=log_some, args=(i,)) for i in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    kept.log_metric("after", 1)
    metrics = [e for e in stage.events() if e["kind"] == "metric"]
    assert len(metrics) == 302
    by_worker = {i: [e["step"] for e in metrics[1:-1] if e["value"] == i] for i in range(3)}
    assert by_worker == {i: list(range(100)) for i in range(3)}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_daemon_that_closes_its_files_writes_to_no_other(stage: Experiment) -> None:
    code = """
import os, kept
kept.log_metric("parent", 1)
if os.fork() == 0:
    os.closerange(3, 100)
    others = [os.open("other", os.O_WRONLY | os.O_CREAT) for _ in range(5)]
    kept.log_metric("child", 1)
    os._exit(0)
os.wait()
"""
    done = stage.python(code, **{k: os.environ[k] for k in ("KEPT_RUN_DIR", "KEPT_EXPERIMENT", "KEPT_STAGE")})
    assert done.stderr == ""
    assert [e["name"] for e in stage.events() if e["kind"] == "metric"] == ["parent", "child"]
    assert (stage.folder / "other").read_bytes() == b""


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL")
def test_a_killed_program_has_recorded_what_it_logged(stage: Experiment) -> None:
    code = "import kept, os, signal\nkept.log_metric('loss', 1)\nos.kill(os.getpid(), signal.SIGKILL)\n"
    done = stage.python(code, **{k: os.environ[k] for k in ("KEPT_RUN_DIR", "KEPT_EXPERIMENT", "KEPT_STAGE")})
    assert done.returncode == -9
    assert [e["name"] for e in stage.events()] == ["loss"]


def test_a_run_whose_folder_is_gone(stage: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEPT_RUN_DIR", str(stage.fake / "gone"))
    with pytest.raises(kept.KeptError, match="cannot write to the event file"):
        kept.log_metric("loss", 1)


def test_cost_of_a_metric(stage: Experiment, record_property: Any) -> None:
    kept.log_metric("loss", 0.5, 0)
    times = []
    for step in range(2000):
        start = time.perf_counter()
        kept.log_metric("loss", 0.5, step)
        times.append(time.perf_counter() - start)
    record_property("median_microseconds", statistics.median(times) * 1e6)
    assert len(stage.events()) == 2001


def test_params_of_the_stage(stage: Experiment) -> None:
    assert kept.params() == {"tfidf.ngram_max": 2, "lr": 0.1}


def test_log_artifact(stage: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    (stage.folder / "models" / "deep").mkdir(parents=True)
    for file in ("vectorizer.pkl", "net.v2.bin", "deep/x.txt"):
        (stage.folder / "models" / file).write_text("x")
    kept.log_artifact("models/vectorizer.pkl")
    kept.log_artifact(stage.folder / "models" / "net.v2.bin")
    monkeypatch.chdir(stage.folder / "models")
    kept.log_artifact("deep", name="folder")
    assert stage.events() == [
        {"kind": "artifact", "name": "vectorizer", "path": "models/vectorizer.pkl"},
        {"kind": "artifact", "name": "net.v2", "path": "models/net.v2.bin"},
        {"kind": "artifact", "name": "folder", "path": "models/deep"},
    ]


def test_log_artifact_that_cannot_be(stage: Experiment, tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("x")
    for name in ("a.txt", "a.csv"):
        (stage.folder / name).write_text("x")
    kept.log_artifact("a.txt")
    for path, said in {
        "missing": "there is no file",
        str(tmp_path / "outside"): "outside of the experiment's folder",
        ".": "as a whole",
        "a.csv": "artifact 'a' is a.txt already",
    }.items():
        with pytest.raises(kept.KeptError, match=said) as raised:
            kept.log_artifact(path)
        assert raised.value.hint
    assert len(stage.events()) == 1


def test_an_experiment_reached_by_a_symlink(stage: Experiment, tmp_path: Path) -> None:
    link = tmp_path / "link"
    try:
        link.symlink_to(stage.folder, target_is_directory=True)
    except OSError:
        link = stage.folder  # symlinks are a privilege on Windows
    (stage.folder / "a.txt").write_text("x")
    kept.log_artifact(link / "a.txt")
    assert [e["path"] for e in stage.events()] == ["a.txt"]


def test_save_to_the_declared_path(stage: Experiment) -> None:
    kept.save({"a": 1}, "vectorizer")
    file = stage.folder / "models" / "vectorizer.pkl"
    assert pickle.loads(file.read_bytes()) == {"a": 1}
    assert [f.name for f in file.parent.iterdir()] == ["vectorizer.pkl"]
    assert stage.events() == [{"kind": "artifact", "name": "vectorizer", "path": "models/vectorizer.pkl"}]


def test_save_of_an_undeclared_artifact(stage: Experiment) -> None:
    with pytest.raises(kept.KeptError, match=r"'other' \(declared: data, scores, vectorizer\)") as raised:
        kept.save(1, "other")
    assert "[stage.train]" in raised.value.hint
    assert "other =" in raised.value.hint
    kept.save([1], "other", path="out/other.json")
    assert json.loads((stage.folder / "out" / "other.json").read_text()) == [1]
    assert stage.events() == [{"kind": "artifact", "name": "other", "path": "out/other.json"}]


def test_save_elsewhere_than_declared(stage: Experiment, tmp_path: Path) -> None:
    with pytest.raises(kept.KeptError, match=r"declared as out/scores.json, not x.json"):
        kept.save(1, "scores", path="x.json")
    with pytest.raises(kept.KeptError, match="outside"):
        kept.save(1, "new", path=tmp_path / "x.json")
    kept.save(1, "scores", path=stage.folder / "out" / "scores.json")
    assert not (tmp_path / "x.json").exists()


def test_a_failed_save_leaves_the_old_file(stage: Experiment) -> None:
    kept.save([1], "scores")
    with pytest.raises(TypeError, match="nothing that JSON can hold"):
        kept.save([object()], "scores")
    file = stage.folder / "out" / "scores.json"
    assert json.loads(file.read_text()) == [1]
    assert [f.name for f in file.parent.iterdir()] == ["scores.json"]
    (stage.folder / "data").mkdir()
    with pytest.raises(kept.KeptError, match="cannot write"):
        kept.save([1], "data", format="json")


@pytest.mark.skipif(os.name == "nt", reason="links are a privilege on Windows")
def test_save_writes_through_no_link(stage: Experiment, tmp_path: Path) -> None:
    (tmp_path / "linked").write_text("precious")
    (stage.folder / "out").mkdir()
    (stage.folder / "out" / "scores.json").symlink_to(tmp_path / "linked")
    kept.save([1], "scores")
    assert (tmp_path / "linked").read_text() == "precious"


def test_load_gives_what_this_run_saved(stage: Experiment) -> None:
    stage.lock({"scores": {"path": "out/scores.json"}})
    stage.object("scores", b"[0]")
    assert kept.load("scores") == [0]
    kept.save([1], "scores")
    assert kept.load("scores") == [1]
    assert kept.path("scores") == stage.folder / "out" / "scores.json"


def test_load_gives_what_another_process_saved(stage: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.lock({"scores": {"path": "out/scores.json"}})
    stage.object("scores", b"[0]")
    stage.object("scores@v1", b"[0]")
    kept.save([1], "scores")
    monkeypatch.setattr(_run, "_current", None)  # as another process sees it
    assert kept.load("scores") == [1]


def test_load_gives_what_this_run_wrote_by_itself(stage: Experiment) -> None:
    stage.lock({"scores": {"path": "out/scores.json"}})
    stage.object("scores", b"[0]")
    file = stage.folder / "out" / "scores.json"
    file.parent.mkdir()
    file.write_text("[1]")
    described = (stage.fake / "run" / "stage.json").stat().st_mtime_ns
    os.utime(file, ns=(described - 10**9, described - 10**9))
    assert kept.load("scores") == [0], "an older file is of an earlier run"
    os.utime(file, ns=(described + 10**9, described + 10**9))
    assert kept.load("scores") == [1]
