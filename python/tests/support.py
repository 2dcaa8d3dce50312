"""An experiment's folder with a stand-in for the kept program, and programs that run in it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import kept
from kept import _lock

HERE = Path(__file__).parent
FAKE_KEPT = HERE / "fake_kept.py"


class Experiment:
    """A folder with a kept.toml, and what was recorded about programs that ran in it."""

    def __init__(self, folder: Path, fake: Path) -> None:
        self.folder = folder
        self.fake = fake
        self.program = fake / ("kept.cmd" if os.name == "nt" else "kept")
        self.env = {"KEPT_BINARY": str(self.program), "FAKE_KEPT": str(fake)}
        self.artifacts = {"vectorizer": "models/vectorizer.pkl", "scores": "out/scores.json", "data": "data"}
        self.params: dict[str, Any] = {"tfidf.ngram_max": 2, "lr": 0.1}
        fake.mkdir()
        (fake / "objects").mkdir()
        if os.name == "nt":
            self.program.write_text(f'@"{sys.executable}" "{FAKE_KEPT}" %*\n')
        else:
            self.program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{FAKE_KEPT}" "$@"\n')
            self.program.chmod(0o755)
        folder.mkdir()
        (folder / "kept.toml").write_text('[stage.train]\ncommand = "python train.py"\n')
        self.describe()

    def describe(self) -> None:
        """Tell the stand-in what `record begin` says."""
        begun = {"experiment": str(self.folder), "artifacts": self.artifacts, "params": self.params}
        (self.fake / "begin.json").write_text(json.dumps(begun))

    def calls(self) -> list[list[str]]:
        """Return how the stand-in was called, in order."""
        file = self.fake / "calls.jsonl"
        return [json.loads(line)["argv"] for line in file.read_text().splitlines()] if file.exists() else []

    def events(self) -> list[dict[str, Any]]:
        """Return the events of the run."""
        file = self.fake / "run" / "events.jsonl"
        text = file.read_text(encoding="utf-8") if file.exists() else ""
        assert not text or text.endswith("\n")
        return [json.loads(line) for line in text.splitlines()]

    def object(self, name: str, data: bytes) -> Path:
        """Put what the stand-in serves as an artifact's content."""
        file = self.fake / "objects" / name
        file.write_bytes(data)
        return file

    def lock(self, artifacts: dict[str, dict[str, Any]], stage: str = "train") -> None:
        """Add a stage to kept.lock that recorded these artifacts."""
        entry = {"hash": "blake3:" + "1" * 64, "size": 1}
        block: dict[str, Any] = {
            "command": "python train.py",
            "artifact": {name: {**entry, **fields} for name, fields in artifacts.items()},
        }
        block["result"] = _lock.digest(stage, block)
        file = self.folder / "kept.lock"
        text = file.read_text() if file.exists() else "version = 1\n"
        file.write_text(text + "\n" + "\n".join(_lock._tables(("stage", stage), block)))

    def python(self, code: str, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Run a program in the folder, outside of `kept run`."""
        (self.folder / "train.py").write_text(code)
        return subprocess.run(
            [sys.executable, "train.py", *args],
            cwd=self.folder,
            env={**clean(), **self.env, **env},
            capture_output=True,
            text=True,
            check=False,
        )

    def stage_env(self) -> dict[str, str]:
        """Return what `kept run` puts into the environment of a stage's command, and prepare its run."""
        run = self.fake / "run"
        run.mkdir()
        stage = {"stage": "train", "artifacts": self.artifacts, "params": self.params}
        (run / "stage.json").write_text(json.dumps(stage))
        return {
            **self.env,
            "KEPT_RUN": "r1",
            "KEPT_RUN_DIR": str(run),
            "KEPT_EXPERIMENT": str(self.folder),
            "KEPT_STAGE": "train",
        }


def clean() -> dict[str, str]:
    """Return an environment that no run of the test's own surroundings leaks into."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("KEPT_")}
    env["PYTHONPATH"] = str(Path(kept.__file__).parent.parent)
    return env
