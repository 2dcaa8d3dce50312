"""Record what a program uses and makes, in Git beside the code.

    import kept

    kept.log_params({"tfidf": {"ngram_max": 2}})
    kept.log_metric("loss", loss, step=epoch)
    kept.save(vectorizer, "vectorizer")         # to the path that kept.toml declares
    vectorizer = kept.load("vectorizer", rev="v1.2")

Inside ``kept run`` the calls add to that run. Otherwise the first call that
records something begins a run of its own, which ends with the program. With
KEPT_DISABLED=1 in the environment nothing is recorded and nothing is needed.

Wrong arguments are TypeErrors and ValueErrors, everything else that this
module refuses is a KeptError, whose ``hint`` says what to do.
"""

from __future__ import annotations

from kept import _run, _values
from kept._errors import KeptError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    import pathlib
    from collections.abc import Mapping
    from typing import Any

__all__ = [
    "KeptError",
    "load",
    "lock",
    "log_artifact",
    "log_metric",
    "log_metrics",
    "log_param",
    "log_params",
    "params",
    "path",
    "save",
]


def log_param(name: str, value: Any) -> None:
    """Record a parameter: a bool, int, float, str, a list of these, or a dict, which is flattened."""
    log_params({name: value})


def log_params(params: Mapping[str, Any]) -> None:
    """Record parameters. Nested dicts become dotted keys: {"a": {"b": 1}} is "a.b" = 1.

    NumPy scalars and zero-dimensional tensors are taken as their value. One
    value of another type is a TypeError, and then none is recorded.
    """
    run = _run.current()
    if run is not None:
        run.param(_values.flatten(params))


def log_metric(name: str, value: Any, step: int | None = None) -> None:
    """Record a metric: a number, at a step of training if there is one.

    Costs a few microseconds and can be called from any thread and process of
    the run. The last value is the one that kept.lock records and gates check.
    """
    run = _run.current()
    if run is not None:
        run.metric(name, value, step)


def log_metrics(metrics: Mapping[str, Any], step: int | None = None) -> None:
    """Record several metrics of one step."""
    run = _run.current()
    if run is not None:
        run.metrics(metrics, step)


def log_artifact(path: str | os.PathLike[str], name: str | None = None) -> None:
    """Record a file or folder that the program wrote, in the experiment's folder or below.

    The name is the one that kept.toml declares for the path, else the file's
    name up to its last dot.
    """
    run = _run.current()
    if run is not None:
        run.log_artifact(path, name)


def save(obj: Any, name: str, *, path: str | os.PathLike[str] | None = None, format: str | None = None) -> None:
    """Write an object to an artifact's file, all or nothing, and record it.

    The file is the one that kept.toml declares, or ``path`` for an artifact
    that it does not. Its extension tells the format, unless ``format`` names
    another: json, txt, npy, npz, parquet, csv, safetensors, skops, or pkl and
    joblib, which run code when they are loaded.

    Where recording is off, the object is still written if ``path`` says where.
    """
    import os

    from kept import _formats

    _values.name("an artifact", name)
    given = None if path is None else os.path.abspath(path)
    run = _run.current()
    target = given if run is None else run.target(name, given)
    if target is not None:
        _formats.dump(obj, target, format)
    if run is not None and target is not None:
        run.log_artifact(target, name)


def load(name: str, *, rev: str | None = None, format: str | None = None) -> Any:
    """Return the object of an artifact: of the lock, of a commit, or of this run if it wrote one.

    The bytes are verified against the lock before anything reads them. Even
    so, loading a .pkl or .joblib artifact runs what is in it: as with the
    repository's code, load only what you would run.
    """
    from kept import _artifacts

    return _artifacts.load(name, rev, format)


def path(name: str, *, rev: str | None = None) -> pathlib.Path:
    """Return the absolute path of an artifact's verified content. Read it, do not write to it."""
    import pathlib

    from kept import _artifacts

    return pathlib.Path(_artifacts.path(name, rev))


def params() -> dict[str, Any]:
    """Return the parameters of this run's stage under dotted keys; empty where recording is off."""
    run = _run.current()
    return {} if run is None else run.params


def lock(rev: str | None = None) -> dict[str, Any]:
    """Return kept.lock, or that of a commit, as a dict in the shape of its TOML.

    kept.lock()["stage"]["train"]["metrics"]["accuracy"]

    A lock with conflict markers, of a newer version or with a block that no
    single run wrote is a KeptError.
    """
    from kept import _artifacts

    return _artifacts.lock(rev)


def __getattr__(name: str) -> str:
    if name == "__version__":
        from importlib.metadata import version

        return version("kept")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
