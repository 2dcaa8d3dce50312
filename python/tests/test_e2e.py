"""The module with the real program, in real repositories: what a user sees, and what lands on disk."""

from __future__ import annotations

import json
import os
import pickle
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support import clean

from kept import _lock
from kept._blake3 import hexdigest

PROGRAM = os.environ.get("KEPT_BINARY", "")

pytestmark = pytest.mark.skipif(not PROGRAM, reason="KEPT_BINARY names no kept program: make test-python")

TRAIN = """
import os
import kept
import zzfake

ngrams = kept.params()["tfidf.ngram_max"]
kept.log_params({"depth": 3, "optimizer": {"name": "sgd", "betas": [0.9, 0.99]}})
for step in range(3):
    kept.log_metric("loss", 1 / (step + 1), step=step)
kept.log_metric("rows", 4)
kept.save({"ngrams": ngrams}, "vectorizer")
assert kept.load("vectorizer") == {"ngrams": ngrams}, "a run reads what it has just written"
os.makedirs("report/plots", exist_ok=True)
for name in ("report/index.txt", "report/plots/roc.txt"):
    with open(name, "w") as file:
        file.write(f"{name} of {ngrams}\\n")
kept.log_artifact("report")
assert kept.path("report").joinpath("index.txt").read_text() == f"report/index.txt of {ngrams}\\n"
"""

EVALUATE = """
import json
import kept

vectorizer = kept.load("vectorizer")
lines = kept.path("report").joinpath("plots", "roc.txt").read_text().splitlines()
with open("metrics.json", "w") as file:
    json.dump({"accuracy": 0.5 + vectorizer["ngrams"] / 10, "lines": len(lines)}, file)
"""

CONFIG = """
[stage.train]
command   = '"{python}" train.py'
code      = ["train.py"]
params    = ["params.toml"]
artifacts = {{ vectorizer = "models/vectorizer.pkl" }}

[stage.evaluate]
command = '"{python}" evaluate.py'
code    = ["evaluate.py"]
inputs  = ["models/vectorizer.pkl"]
metrics = ["metrics.json"]
"""


class Repository:
    """A Git repository with kept set up, and programs that run in it."""

    def __init__(self, top: Path) -> None:
        self.folder = top / "project"
        self.folder.mkdir()
        self.site = top / "site"
        (top / "gitconfig").write_text("[user]\nname = Ada\nemail = ada@example.org\n[init]\ndefaultBranch = main\n")
        env = clean()
        env.update(
            KEPT_BINARY=PROGRAM,
            PATH=os.pathsep.join([os.path.dirname(PROGRAM), env["PATH"]]),
            PYTHONPATH=os.pathsep.join([env["PYTHONPATH"], str(self.site)]),
            PYTHONDONTWRITEBYTECODE="1",
            HOME=str(top),
            GIT_CONFIG_GLOBAL=str(top / "gitconfig"),
            GIT_CONFIG_NOSYSTEM="1",
        )
        self.env = env
        self.install("1.0")
        self.write("kept.toml", CONFIG.format(python=sys.executable))
        self.write("train.py", TRAIN)
        self.write("evaluate.py", EVALUATE)
        self.params(1)
        self.git("init", "-q")
        self.kept("init")

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)

    def params(self, ngrams: int) -> None:
        self.write("params.toml", f"seed = 7\n\n[tfidf]\nngram_max = {ngrams}\n")

    def install(self, version: str) -> None:
        """Install a distribution that the programs import, in this version alone."""
        info = self.site / "zzfake.dist-info"
        info.mkdir(parents=True, exist_ok=True)
        (self.site / "zzfake.py").touch()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: zzfake\nVersion: {version}\n")
        (info / "RECORD").write_text("zzfake.py,,\n")

    def start(self, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            args, cwd=self.folder, env={**self.env, **env}, capture_output=True, text=True, check=False
        )

    def ok(self, *args: str, **env: str) -> str:
        done = self.start(*args, **env)
        assert done.returncode == 0, f"{args}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def git(self, *args: str) -> str:
        return self.ok("git", *args).strip()

    def kept(self, *args: str, **env: str) -> str:
        return self.ok(PROGRAM, *args, **env)

    def python(self, code: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Run a program outside of `kept run`."""
        return self.start(sys.executable, "-c", code, **env)

    def commit(self, message: str) -> None:
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message)

    def lock(self) -> dict[str, Any]:
        return _lock.parse((self.folder / "kept.lock").read_bytes())

    def has(self, digest: str) -> bool:
        """Whether the store has the object, whole."""
        found = self.folder / "found"
        done = self.start("kept", "restore", "--source", digest, found.name)
        there = done.returncode == 0 and found.is_file()
        found.unlink(missing_ok=True)
        return there

    def tamper(self) -> None:
        """Change every byte of every content in the store: one bit of it, in the packs as they are stored."""
        for file in (self.folder / ".git" / "kept" / "store" / "packs").iterdir():
            data = bytearray(file.read_bytes())
            (table,) = struct.unpack_from("<Q", data, len(data) - 64)
            for i in range(16, table):
                data[i] ^= 1
            file.chmod(0o600)
            file.write_bytes(data)

    def runs(self) -> list[Path]:
        return sorted((self.folder / ".git" / "kept" / "runs").iterdir())

    def record(self) -> dict[str, Any]:
        """Return the record of the latest run."""
        record: dict[str, Any] = json.loads((self.runs()[-1] / "run.json").read_text())
        return record


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """Two commits of two runs; tests must leave it as it is."""
    made = Repository(tmp_path_factory.mktemp("story"))
    made.kept("run")
    made.commit("one")
    made.params(2)
    made.kept("run")
    made.commit("two")
    return made


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """A repository with one committed run, to be changed."""
    made = Repository(tmp_path)
    made.kept("run")
    made.commit("one")
    return made


def digest(text: str) -> str:
    return "blake3:" + hexdigest(text.encode())


def test_the_lock_holds_what_the_program_logged(story: Repository) -> None:
    train = story.lock()["stage"]["train"]
    assert train["params"] == {"seed": 7, "tfidf.ngram_max": 2}
    assert train["logged"] == {"depth": 3, "optimizer.betas": [0.9, 0.99], "optimizer.name": "sgd"}
    assert train["metrics"] == {"loss": 1 / 3, "rows": 4}
    series = "kept history 1\n0 1.0\n1 0.5\n2 0.3333333333333333\n"
    assert train["history"] == {"loss": digest(series)}
    assert story.has(digest(series))
    assert train["artifact"]["vectorizer"]["path"] == "models/vectorizer.pkl"
    assert train["artifact"]["report"]["path"] == "report"
    assert train["artifact"]["report"]["files"] == 2


def test_the_lock_holds_what_the_program_imported(story: Repository) -> None:
    environment = story.lock()["stage"]["train"]["environment"]
    assert environment["packages"] == digest("zzfake==1.0\n")
    assert story.has(environment["packages"])
    assert environment["runtime"] == f"python {sys.version.split()[0].partition('+')[0]}"
    assert "/" in environment["platform"]


def test_the_same_run_again_leaves_the_lock_as_it_is(story: Repository) -> None:
    assert "same result" in story.kept("run", "--force", "train")
    assert story.git("status", "--short") == ""
    assert "verified" in story.kept("verify")


def test_a_stage_reads_what_another_one_wrote(story: Repository) -> None:
    assert story.lock()["stage"]["evaluate"]["metrics"] == {"accuracy": 0.7, "lines": 1}


def test_reading_another_revision(story: Repository) -> None:
    code = """
import kept
assert kept.load("vectorizer") == {"ngrams": 2}
assert kept.load("vectorizer", rev="HEAD~1") == {"ngrams": 1}
folder = kept.path("report", rev="HEAD~1")
assert folder.joinpath("plots", "roc.txt").read_text() == "report/plots/roc.txt of 1\\n"
assert folder.joinpath("index.txt").read_text() == "report/index.txt of 1\\n"
assert kept.path("report").joinpath("index.txt").read_text() == "report/index.txt of 2\\n"
assert kept.path("vectorizer", rev="main~1").name == "vectorizer.pkl"
print(kept.lock("HEAD~1")["stage"]["evaluate"]["metrics"]["accuracy"], kept.lock()["stage"]["train"]["params"])
"""
    done = story.python(code)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "0.6 {'seed': 7, 'tfidf.ngram_max': 2}\n"
    assert story.git("status", "--short") == ""
    missing = story.python("import kept; kept.load('vectorizer', rev='nosuch')")
    assert "KeptError" in missing.stderr and "nosuch" in missing.stderr


class Exploding:
    """What a pickle does to whoever loads it."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return (open, (str(self.marker), "w"))


@pytest.mark.parametrize("where", ["worktree", "store"])
def test_tampered_bytes_are_not_deserialised(repository: Repository, tmp_path: Path, where: str) -> None:
    marker = tmp_path / "exploded"
    bomb = pickle.dumps(Exploding(marker))
    pickle.loads(bomb).close()
    assert marker.exists(), "the pickle is a live one"
    marker.unlink()

    worktree = repository.folder / "models" / "vectorizer.pkl"
    if where == "store":
        assert repository.has(repository.lock()["stage"]["train"]["artifact"]["vectorizer"]["hash"])
        worktree.unlink()
        repository.tamper()
    else:
        worktree.write_bytes(bomb)
    revisions = ["None"] if where == "worktree" else ["None", "'HEAD'"]
    for rev in revisions:
        for call in ("load", "path"):
            done = repository.python(f"import kept; kept.{call}('vectorizer', rev={rev})")
            assert done.returncode == 1
            assert "kept.KeptError" in done.stderr or "KeptError: " in done.stderr
            assert not marker.exists()
    if where == "worktree":
        assert repository.python("import kept; kept.load('vectorizer', rev='HEAD')").returncode == 0


def test_another_version_of_what_is_imported(repository: Repository) -> None:
    repository.install("2.0")
    said = repository.kept("run", "--force", "train")
    assert "warning: stage train ran in another environment than the last time: zzfake 1.0 → 2.0\n" in said
    diff = repository.kept("diff")
    assert "zzfake  1.0 → 2.0" in diff
    assert "up to date" in repository.kept("run", "train")


def test_a_stage_that_logs_only(repository: Repository) -> None:
    repository.write("kept.toml", f"[stage.only]\ncommand = '\"{sys.executable}\" only.py'\n")
    repository.write(
        "only.py", "import kept\nkept.save([1, 2], 'scores', path='out/scores.json')\nkept.log_metric('n', 2)\n"
    )
    repository.kept("run")
    only = repository.lock()["stage"]["only"]
    assert only["artifact"]["scores"]["path"] == "out/scores.json"
    assert only["metrics"] == {"n": 2}
    assert "history" not in only


def test_a_failing_stage_locks_nothing_and_tells(repository: Repository) -> None:
    before = (repository.folder / "kept.lock").read_bytes()
    repository.write("train.py", "import kept\nkept.log_metric('loss', 1)\nkept.save([1], 'vectoriser')\n")
    done = repository.start(PROGRAM, "run", "train")
    assert done.returncode == 1
    assert "no artifact is declared as 'vectoriser'" in done.stderr
    assert (repository.folder / "kept.lock").read_bytes() == before
    record = repository.record()
    assert (record["status"], record["exit"], record["stage"]) == ("failed", {"code": 1}, "train")
    # What made way for the command is back.
    assert repository.python("import kept; assert kept.load('vectorizer') == {'ngrams': 1}").returncode == 0


def test_a_program_by_itself_records_a_run_of_its_own(repository: Repository) -> None:
    before = (repository.folder / "kept.lock").read_bytes()
    code = """
import kept, zzfake
assert kept.params()["tfidf.ngram_max"] == 1
kept.log_params({"lr": 0.1, "np_seed": 3})
kept.log_metric("loss", 0.5, step=1)
kept.log_metric("loss", float("nan"), step=2)
kept.save([1, 2], "scores", path="scores.json")
"""
    done = repository.python(code, KEPT_BINARY=PROGRAM)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    record = repository.record()
    assert record["status"] == "finished"
    assert record["exit"] == {"code": 0}
    assert record["params"] == {"lr": 0.1, "np_seed": 3}
    assert record["seeds"] == ["np_seed"]
    assert record["metrics"] == {"loss": "nan"}
    assert record["imported"] == digest("zzfake==1.0\n")
    assert record["git"]["commit"] == repository.git("rev-parse", "HEAD")
    assert record["dir"] == os.path.realpath(repository.folder)
    assert "started" in record and "finished" in record
    # What it saved is in the store, and the run names it; the lock is none of its business.
    kept = _lock.parse((repository.runs()[-1] / "kept.lock").read_bytes())
    scores = kept["artifact"]["scores"]
    assert scores["path"] == "scores.json"
    assert repository.has(scores["hash"])
    assert (repository.folder / "kept.lock").read_bytes() == before


def test_begin_says_absolute_places_from_a_folder_below(repository: Repository) -> None:
    (repository.folder / "deep").mkdir()
    done = subprocess.run(
        [PROGRAM, "record", "begin", "--json", "--", "python", "a b.py"],
        cwd=repository.folder / "deep",
        env=repository.env,
        capture_output=True,
        check=True,
    )
    begun = json.loads(done.stdout)
    assert os.path.samefile(begun["experiment"], repository.folder)
    assert os.path.isabs(begun["dir"])
    stage = json.loads(Path(begun["dir"], "stage.json").read_text())
    assert stage["artifacts"] == {"vectorizer": "models/vectorizer.pkl"} == begun["artifacts"]
    assert stage["params"] == {"seed": 7, "tfidf.ngram_max": 1} == begun["params"]
    record = json.loads(Path(begun["dir"], "run.json").read_text())
    assert record["command"] == "python 'a b.py'"
    assert record["pid"] == os.getpid()


def test_a_failed_program_ends_its_run_and_a_killed_one_can_be_told(repository: Repository) -> None:
    done = repository.python("import kept\nkept.log_metric('loss', 1)\n1 / 0\n")
    assert done.returncode == 1
    assert (repository.record()["status"], repository.record()["exit"]) == ("failed", {"code": 1})

    done = repository.python(
        "import kept, os, signal\nkept.log_metric('loss', 1)\nprint(os.getpid(), flush=True)\n"
        "os.kill(os.getpid(), getattr(signal, 'SIGKILL', signal.SIGTERM))\n"
    )
    record = repository.record()
    assert record["status"] == "running"
    assert record["pid"] == int(done.stdout), "who looks can see that this process is gone"
    assert '"loss"' in (repository.runs()[-1] / "events.jsonl").read_text()


def test_disabled(repository: Repository) -> None:
    runs = repository.runs()
    done = repository.python(
        "import kept\nkept.log_metric('loss', 1)\nprint(kept.load('vectorizer'))\n", KEPT_DISABLED="1"
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "{'ngrams': 1}\n", "")
    assert repository.runs() == runs
    repository.write(
        "train.py",
        "import os, kept\nkept.log_metric('loss', 1)\nkept.save([1], 'vectorizer')\n"
        "os.makedirs('models', exist_ok=True)\nopen('models/vectorizer.pkl', 'a').close()\n",
    )
    repository.kept("run", "train", KEPT_DISABLED="1")
    train = repository.lock()["stage"]["train"]
    assert "metrics" not in train
    assert "logged" not in train


def test_the_record_of_a_run(story: Repository) -> None:
    records = [json.loads((run / "run.json").read_text()) for run in story.runs()]
    record = next(r for r in records if r["stage"] == "train")
    assert record["status"] == "locked"
    assert record["experiment"] == "."
    assert record["seeds"] == ["seed"]
    assert record["imported"] == digest("zzfake==1.0\n")
    assert story.has(record["installed"])
    assert record["machine"]["python"]["version"] == sys.version.split()[0].partition("+")[0]
    assert record["usage"]["wall_ns"] > 0
    assert record["git"]["branch"] == "main"
    block = _lock.parse((story.runs()[records.index(record)] / "kept.lock").read_bytes())
    assert list(block["stage"]) == ["train"]
    assert block["stage"]["train"]["result"] == record["result"]
