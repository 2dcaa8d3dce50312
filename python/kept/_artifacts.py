"""Reading back what is kept: artifacts and the lock, of now or of a commit."""

from __future__ import annotations

import os

from kept import _binary, _run
from kept._errors import KeptError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_LOCK = "kept.lock"


def load(name: str, rev: str | None, format: str | None) -> Any:
    """Return the object of an artifact, see kept.load."""
    from kept import _formats

    own = _written(name, rev)
    if own is not None:
        if os.path.isdir(own):
            raise _is_folder(name)
        with open(own, "rb") as file:
            return _formats.load(file, own, format)
    path = _recorded_path(name, rev)
    _formats.check(path, format)
    import tempfile

    # The bytes wait here until kept has ended well, which it does only if they are the ones that the lock names.
    with tempfile.TemporaryFile(prefix="kept-") as staged:
        _binary.output_to(staged, ["cat", *_revision(rev), "--", name], experiment())
        staged.seek(0)
        return _formats.load(staged, path, format)


def path(name: str, rev: str | None) -> str:
    """Return the absolute path of an artifact's content, see kept.path."""
    own = _written(name, rev)
    if own is not None:
        return own
    said = _binary.output(["path", *_revision(rev), "--", name], experiment())
    return os.fsdecode(said.rstrip(b"\r\n"))


def lock(rev: str | None) -> dict[str, Any]:
    """Return the parsed lock of the experiment, see kept.lock."""
    from kept import _lock

    folder = experiment()
    if rev is not None:
        return _lock.parse(_lock_at(rev, folder))
    path = os.path.join(folder, _LOCK)
    if _run.joined() is not None:
        # While a merge is being settled, kept.lock itself has conflict markers.
        path = os.environ.get("KEPT_LOCK", path)
    try:
        with open(path, "rb") as file:
            data = file.read()
    except FileNotFoundError:
        raise KeptError(f"there is no {_LOCK} in {folder} yet", "kept run") from None
    except OSError as error:
        raise KeptError(f"cannot read {_LOCK}: {error.strerror}") from error
    return _lock.parse(data)


def experiment() -> str:
    """Return the folder of the kept.toml that this program is about."""
    run = _run.joined()
    if run is not None:
        return run.experiment
    start = folder = os.getcwd()
    while not os.path.isfile(os.path.join(folder, "kept.toml")):
        above = os.path.dirname(folder)
        if above == folder:
            raise KeptError(f"there is no kept.toml in {start} or above", "kept init")
        folder = above
    return folder


def _lock_at(rev: str, folder: str) -> bytes:
    import subprocess

    _revision(rev)
    git = _binary.which("git")
    if git is None:
        raise KeptError(f"reading the lock of {rev} needs git, which is not on PATH")
    # cat-file, because show would run a textconv filter that the repository's configuration names.
    done = subprocess.run(
        [git, "cat-file", "blob", f"{rev}:./{_LOCK}"],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    if done.returncode != 0:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        reason = said[-1].partition("fatal: ")[2] or said[-1] if said else f"git ended with exit code {done.returncode}"
        raise KeptError(f"cannot read {_LOCK} of {rev}: {reason}")
    return done.stdout


def _revision(rev: str | None) -> list[str]:
    """Return the arguments for a revision, refusing one that could be read as an option or as a file in a commit."""
    if rev is None:
        return []
    if not isinstance(rev, str):
        raise TypeError(f"rev must be a string, not {type(rev).__qualname__}")
    if not rev or rev.startswith("-") or ":" in rev or "\0" in rev:
        raise ValueError(f"{rev!r} is no revision")
    return [f"--rev={rev}"]


def _written(name: str, rev: str | None) -> str | None:
    """Return where the running stage has just written an artifact: the lock still names the old one."""
    from kept import _values

    _values.name("an artifact", name)
    run = _run.joined()
    return run.written(name) if run is not None and rev is None else None


def _recorded_path(name: str, rev: str | None) -> str:
    """Return the path that the lock records for an artifact, which tells its format."""
    locked = lock(rev)
    owners = [locked, *locked.get("stage", {}).values()]
    entries = [owner["artifact"][name] for owner in owners if name in owner.get("artifact", {})]
    if not entries:
        names = sorted({known for owner in owners for known in owner.get("artifact", {})})
        where = f"{_LOCK} of {rev}" if rev is not None else _LOCK
        raise KeptError(f"no artifact {name!r} in {where} (it has: {', '.join(names) or 'none'})", "kept show")
    if any("files" in entry for entry in entries):
        raise _is_folder(name)
    paths = sorted({entry["path"] for entry in entries})
    if len(paths) > 1:
        raise KeptError(
            f"several stages have an artifact {name!r}: {', '.join(paths)}", "give them different names in kept.toml"
        )
    return str(paths[0])


def _is_folder(name: str) -> KeptError:
    return KeptError(f"artifact {name!r} is a folder", f'kept.path("{name}") gives the folder to read from')
