"""Programs outside of `kept run`: they begin a run of their own, or none with KEPT_DISABLED."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from support import Experiment


def test_the_first_call_begins_a_run_and_the_end_ends_it(experiment: Experiment) -> None:
    done = experiment.python("import kept\nkept.log_metric('loss', 1)\nkept.log_param('a', 2)\n", "--lr", "0.1")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    begin, end = experiment.calls()
    python = Path(sys.executable).name if sys.version_info >= (3, 10) else "python"
    assert begin == ["record", "begin", "--json", "--", python, "train.py", "--lr", "0.1"]
    assert end == ["record", "end", "r1", "--exit", "0"]
    assert [e["kind"] for e in experiment.events()] == ["metric", "param", "environment"]


def test_importing_and_reading_begin_no_run(experiment: Experiment) -> None:
    experiment.object("scores", b"[1]")
    experiment.lock({"scores": {"path": "scores.json"}})
    done = experiment.python("import kept\nkept.load('scores')\nkept.path('scores')\nkept.lock()\n")
    assert (done.returncode, done.stderr) == (0, "")
    assert [call[0] for call in experiment.calls()] == ["cat", "path"]


@pytest.mark.parametrize(
    ("code", "want"),
    [
        ("", 0),
        ("import sys; sys.exit()", 0),
        ("import sys; sys.exit(3)", 3),
        ("from sys import exit; exit(0)", 0),
        ("import sys; sys.exit('broken')", 1),
        ("import sys; sys.exit(True)", 1),
        ("1 / 0", 1),
        ("raise KeyboardInterrupt", 130),
        ("import sys, threading\nt = threading.Thread(target=lambda: sys.exit(5))\nt.start(); t.join()", 0),
        ("import argparse; argparse.ArgumentParser().parse_args(['--nosuch'])", 2),
    ],
)
def test_the_exit_code_is_recorded_and_kept(experiment: Experiment, code: str, want: int) -> None:
    done = experiment.python(f"import kept\nkept.log_metric('loss', 1)\n{code}\n")
    assert experiment.calls()[-1] == ["record", "end", "r1", "--exit", str(want)]
    # A program that dies of SIGINT says so to its shell, which calls it 130.
    assert done.returncode in ((want,) if want != 130 else (130, -2))
    assert ("ZeroDivisionError" in done.stderr) == (code == "1 / 0")


def test_artifacts_and_params_come_from_the_program(experiment: Experiment) -> None:
    code = (
        "import kept\nassert kept.params()['lr'] == 0.1\nkept.save([1], 'scores')\nassert kept.load('scores') == [1]\n"
    )
    done = experiment.python(code)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads((experiment.folder / "out" / "scores.json").read_text()) == [1]
    assert experiment.events()[0] == {"kind": "artifact", "name": "scores", "path": "out/scores.json"}


def test_processes_of_the_program_take_part_in_its_run(experiment: Experiment) -> None:
    code = """
import multiprocessing, os, subprocess, sys
import kept
def work():
    kept.log_metric("spawned", 1)
if __name__ == "__main__":
    kept.log_metric("parent", 1)
    worker = multiprocessing.get_context("spawn").Process(target=work)
    worker.start(); worker.join()
    subprocess.run([sys.executable, "-c", "import kept; kept.log_metric('started', 1)"], check=True)
    if hasattr(os, "fork"):
        if os.fork() == 0:
            kept.log_metric("forked", 1)
            sys.exit(7)
        os.wait()
"""
    done = experiment.python(code)
    assert (done.returncode, done.stderr) == (0, "")
    assert [call[:2] for call in experiment.calls()] == [["record", "begin"], ["record", "end"]]
    names = [e["name"] for e in experiment.events() if e["kind"] == "metric"]
    assert names == ["parent", "spawned", "started", *(["forked"] if hasattr(sys, "abiflags") else [])]


def test_no_repository(experiment: Experiment) -> None:
    (experiment.fake / "refuse").touch()
    done = experiment.python("import kept\nkept.log_metric('loss', 1)\n")
    assert done.returncode == 1
    assert "KeptError: not a git repository\nhint: git init; or set KEPT_DISABLED=1" in done.stderr
    assert [call[1] for call in experiment.calls()] == ["begin"]


def test_no_program(experiment: Experiment) -> None:
    done = experiment.python("import kept\nkept.log_metric('loss', 1)\n", KEPT_BINARY="", PATH="")
    # A kept that happens to be installed beside this interpreter would be found, and refuse this folder.
    assert done.returncode == 1
    assert "set KEPT_DISABLED=1" in done.stderr


def test_disabled_needs_and_records_nothing(experiment: Experiment) -> None:
    code = """
import kept
kept.log_params({"a": 1})
kept.log_metric("loss", 1)
kept.log_metrics({"loss": 1})
kept.log_artifact("missing")
kept.save([1], "scores")
kept.save([1], "scores", path="scores.json")
assert kept.params() == {}
"""
    done = experiment.python(code, KEPT_DISABLED="1", KEPT_BINARY="/nowhere")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert experiment.calls() == []
    assert json.loads((experiment.folder / "scores.json").read_text()) == [1]


def test_disabled_still_reads(experiment: Experiment) -> None:
    experiment.object("scores", b"[1]")
    experiment.lock({"scores": {"path": "scores.json"}})
    done = experiment.python("import kept\nprint(kept.load('scores'))\n", KEPT_DISABLED="1")
    assert (done.returncode, done.stdout, done.stderr) == (0, "[1]\n", "")


def test_disabled_inside_a_run(experiment: Experiment) -> None:
    done = experiment.python(
        "import kept\nkept.log_metric('loss', 1)\n", **{**experiment.stage_env(), "KEPT_DISABLED": "1"}
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert experiment.events() == []


def test_inside_a_run_the_end_writes_the_environment_only(experiment: Experiment) -> None:
    done = experiment.python("import kept\nraise SystemExit(4)\n", **experiment.stage_env())
    assert (done.returncode, done.stderr) == (4, "")
    assert experiment.calls() == []
    (event,) = experiment.events()
    assert event["kind"] == "environment"
    assert event["runtime"] == f"python {sys.version.split()[0].partition('+')[0]}"
    assert "kept" not in event["packages"]


@pytest.mark.parametrize("broken", ["import shutil; shutil.rmtree(os.environ['KEPT_RUN_DIR'])", "sys.path.append(3)"])
def test_what_breaks_at_the_end_is_silent(experiment: Experiment, broken: str) -> None:
    done = experiment.python(f"import kept, os, sys\nkept.log_metric('loss', 1)\n{broken}\n", **experiment.stage_env())
    assert (done.returncode, done.stderr) == (0, "")


def test_a_run_that_cannot_be_ended_says_so(experiment: Experiment) -> None:
    code = "import kept, os\nkept.log_metric('loss', 1)\nos.environ['KEPT_BINARY'] = 'nowhere'\n"
    done = experiment.python(code)
    assert done.returncode == 0
    assert done.stderr.startswith("kept: the run was not recorded: KEPT_BINARY names no program")
