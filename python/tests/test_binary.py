"""Finding the kept program, and being it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support import Experiment, clean

import kept
from kept import _binary

pytestmark = pytest.mark.skipif(os.name == "nt", reason="stand-ins are shell scripts")


def program(folder: Path, name: str = "kept", says: str = "") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / name
    file.write_text(f"#!/bin/sh\necho '{says}'\n")
    file.chmod(0o755)
    return file


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Hide every kept that this machine has; the package lies in the folder that this returns."""
    package = tmp_path / "site" / "kept"
    package.mkdir(parents=True)
    monkeypatch.setattr(_binary, "__file__", str(package / "_binary.py"))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "venv" / "bin" / "python"))
    monkeypatch.setattr("sysconfig.get_path", lambda *args: str(tmp_path / args[-1]))
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("KEPT_BINARY", raising=False)
    return package


def test_the_order_of_places(nowhere: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    # From the last to the first, each hides those before it.
    for folder in (
        tmp_path / "path",
        nowhere.parent / "bin",
        tmp_path / "posix_user",
        tmp_path / "scripts",
        tmp_path / "venv" / "bin",
        nowhere / "bin",
    ):
        want = program(folder)
        assert _binary.find() == str(want)
    named = program(tmp_path / "named", "other")
    monkeypatch.setenv("KEPT_BINARY", str(named))
    assert _binary.find() == str(named)


def test_no_program(nowhere: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(kept.KeptError) as raised:
        _binary.find()
    assert "pip install kept" in raised.value.hint
    monkeypatch.setenv("KEPT_BINARY", str(tmp_path / "missing"))
    program(nowhere / "bin")
    with pytest.raises(kept.KeptError, match="KEPT_BINARY names no program"):
        _binary.find()


def test_the_current_folder_is_never_searched(nowhere: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path / "repository")
    program(tmp_path / "repository" / "sub")
    monkeypatch.chdir(tmp_path / "repository")
    monkeypatch.setenv("PATH", os.pathsep.join(["", ".", "sub"]))
    assert _binary.which("kept") is None


def test_a_file_that_cannot_be_run_is_passed_over(
    nowhere: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(nowhere / "bin").chmod(0o644)
    want = program(tmp_path / "path")
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    assert _binary.find() == str(want)


def test_the_module_is_the_program(experiment: Experiment) -> None:
    for args, want in ((["version"], (0, "kept fake\n")), (["nosuch"], (2, ""))):
        done = subprocess.run(
            [sys.executable, "-m", "kept", *args], env={**clean(), **experiment.env}, capture_output=True, text=True
        )
        assert (done.returncode, done.stdout) == want
    assert done.stderr == "error: unknown command 'nosuch'\n"


def test_what_the_program_says_becomes_the_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failing = tmp_path / "kept"
    for script, message, hint in [
        ("echo 'error: old' >&2; echo 'hint: x' >&2; echo 'error: no' >&2", "no", ""),
        ("echo 'error: no' >&2; echo 'hint: do' >&2", "no", "do"),
        ("echo 'boom' >&2", "kept cat ended with exit code 4: boom", ""),
        ("true", "kept cat ended with exit code 4", ""),
    ]:
        failing.write_text(f"#!/bin/sh\n{script}\nexit 4\n")
        failing.chmod(0o755)
        monkeypatch.setenv("KEPT_BINARY", str(failing))
        with pytest.raises(kept.KeptError) as raised:
            _binary.output(["cat"])
        assert (raised.value.message, raised.value.hint) == (message, hint)
