"""Fixtures: an experiment outside of `kept run`, and one whose stage runs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support import Experiment

from kept import _run


@pytest.fixture
def experiment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Experiment:
    """An experiment, current and outside of `kept run`."""
    made = Experiment(tmp_path / "project", tmp_path / "fake")
    for key in [key for key in os.environ if key.startswith("KEPT_")]:
        monkeypatch.delenv(key)
    for key, value in made.env.items():
        monkeypatch.setenv(key, value)
    monkeypatch.chdir(made.folder)
    monkeypatch.setattr(_run, "_current", None)
    monkeypatch.setattr(_run, "_watched", True)  # the end of pytest is not the end of a run
    return made


@pytest.fixture
def stage(experiment: Experiment, monkeypatch: pytest.MonkeyPatch) -> Experiment:
    """An experiment in whose stage "train" the test runs."""
    for key, value in experiment.stage_env().items():
        monkeypatch.setenv(key, value)
    return experiment
