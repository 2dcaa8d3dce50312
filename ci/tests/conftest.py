"""Fixtures: comment.py as a module, and the two hosts on this machine."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from fake_host import FakeHost

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def comment() -> ModuleType:
    """comment.py, which is a script and in no package."""
    spec = importlib.util.spec_from_file_location("kept_ci_comment", HERE.parent / "comment.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy of this machine is none of these tests'."""
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)


@pytest.fixture
def github() -> Iterator[FakeHost]:
    """A pull request on GitHub, whose token is that of a workflow."""
    with FakeHost("github") as host:
        yield host


@pytest.fixture
def gitlab() -> Iterator[FakeHost]:
    """A merge request on GitLab, whose token is that of a project."""
    with FakeHost("gitlab") as host:
        yield host
