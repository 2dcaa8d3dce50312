"""The run that this process belongs to, and the file that its events go to.

    run = current()                  # inside `kept run`: what the environment names
                                     # outside: a run of its own, begun by this call
    run.metric("loss", 0.5, 3)       # one line of events.jsonl, one write
    at exit                          # one environment event; a run of its own ends

The event file is opened for appending and every call is one write(2), so that
nothing is ever buffered: what a killed program has logged is on record, and
threads and processes (forked, spawned or started) share a file without a lock.
Nothing about the events is counted in this process. In particular a metric
without a step carries none: the order of the lines is the one that all
processes of the run agree on.
"""

from __future__ import annotations

import _thread
import atexit
import errno
import os
import sys
import time

from kept import _values
from kept._errors import KeptError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType
    from typing import Any, NoReturn

_now = time.time
_write = os.write
_NO_RECORD = "set KEPT_DISABLED=1 to run without recording"


class Run:
    """One run as seen from one process."""

    def __init__(self, folder: str, experiment: str, stage: str = "") -> None:
        from json.encoder import encode_basestring_ascii

        self.folder = folder
        self.experiment = experiment
        self.stage = stage
        self._description: dict[str, Any] | None = None
        self._events = os.path.join(folder, "events.jsonl")
        self._fd = -1
        self._quote: Callable[[str], str] = encode_basestring_ascii
        self._logged: dict[str, str] = {}

    @property
    def artifacts(self) -> dict[str, str]:
        """The declared artifacts: name to path, relative to the experiment, with forward slashes."""
        return dict(self._describe().get("artifacts") or {})

    @property
    def params(self) -> dict[str, _values.Value]:
        """The stage's parameters under dotted keys."""
        return dict(self._describe().get("params") or {})

    def param(self, flat: Mapping[str, _values.Value]) -> None:
        """Write parameter events: all of them in one write, so all or none."""
        from json import dumps

        lines = []
        for key, value in flat.items():
            encoded = self._float(value) if isinstance(value, float) else dumps(value)
            lines.append(f'{{"kind":"param","name":{self._quote(key)},"value":{encoded}}}\n')
        self._append("".join(lines))

    def metric(self, name: str, value: Any, step: Any) -> None:
        """Write one metric event."""
        self._append(self._metric(name, value, step))

    def metrics(self, metrics: Mapping[str, Any], step: Any) -> None:
        """Write metric events: all of them in one write, so all or none."""
        self._append("".join([self._metric(name, value, step) for name, value in metrics.items()]))

    def target(self, name: str, given: str | None) -> str:
        """Return the absolute path to save an artifact to; ``given`` is one that the caller asks for."""
        declared = self.artifacts.get(name)
        if given is None:
            if declared is None:
                raise self._undeclared(name)
            return self.absolute(declared)
        path = self.relative(given)
        if declared is not None and declared != path:
            raise KeptError(
                f"artifact {name!r} is declared as {declared}, not {path}", "leave path out, or change kept.toml"
            )
        return given

    def log_artifact(self, path: str | os.PathLike[str], name: str | None) -> None:
        """Write an artifact event for a file or folder of this process."""
        file = os.fspath(path)
        if not os.path.exists(file):
            raise KeptError(f"there is no file or folder {file} to log", "log an artifact after it is written")
        relative = self.relative(file)
        if relative == ".":
            raise KeptError("the experiment's folder as a whole cannot be an artifact", "log a folder below it")
        if name is None:
            declared = [known for known, path in self.artifacts.items() if path == relative]
            name = declared[0] if declared else os.path.splitext(os.path.basename(relative))[0]
        self.artifact(_values.name("an artifact", name), relative)

    def artifact(self, name: str, path: str) -> None:
        """Write an artifact event for a path relative to the experiment."""
        other = self._logged.setdefault(name, path)
        if other != path:
            raise KeptError(
                f"artifact {name!r} is {other} already, it cannot be {path} as well",
                f'give it a name of its own: kept.log_artifact("{path}", name="…")',
            )
        self._append(f'{{"kind":"artifact","name":{self._quote(name)},"path":{self._quote(path)}}}\n')

    def environment(self, runtime: str, packages: Mapping[str, str]) -> None:
        """Write the environment event of this process."""
        from json import dumps

        event = {"kind": "environment", "runtime": runtime, "packages": dict(sorted(packages.items()))}
        self._append(dumps(event, separators=(",", ":")) + "\n")

    def _undeclared(self, name: str) -> KeptError:
        known = ", ".join(sorted(self.artifacts)) or "none"
        table = f"[stage.{self.stage}]" if self.stage else "the stage"
        return KeptError(
            f"no artifact is declared as {name!r} (declared: {known})",
            f'add {name} = "models/{name}.pkl" to the artifacts of {table} in kept.toml, '
            f'or say where: kept.save(obj, "{name}", path="…")',
        )

    def relative(self, path: str) -> str:
        """Return a path of this process as events name it; it must lie in the experiment's folder."""
        for resolve in (os.path.abspath, os.path.realpath):
            try:
                inside = os.path.relpath(resolve(path), resolve(self.experiment))
            except ValueError:  # another drive
                continue
            if inside != os.pardir and not inside.startswith(os.pardir + os.sep):
                return inside.replace(os.sep, "/")
        raise KeptError(
            f"{path} lies outside of the experiment's folder {self.experiment}",
            "write it beside kept.toml or below: kept records only paths that everybody has",
        )

    def absolute(self, path: str) -> str:
        """Return the path in the file system of a path relative to the experiment."""
        return os.path.join(self.experiment, *path.split("/"))

    def written(self, name: str) -> str | None:
        """Return the absolute path of an artifact that this run has written already, or None.

        Either an event says so (of any process of the run), or the declared
        file is younger than the run.
        """
        path = self._logged.get(name) or self._find_artifact(name)
        if path is not None:
            return self.absolute(path)
        declared = self.artifacts.get(name)
        if declared is None:
            return None
        try:
            started = os.stat(os.path.join(self.folder, "stage.json")).st_mtime_ns
            file = self.absolute(declared)
            return file if os.stat(file).st_mtime_ns > started else None
        except OSError:
            return None

    def _find_artifact(self, name: str) -> str | None:
        import json

        found: str | None = None
        try:
            with open(self._events, "rb") as events:
                for line in events:
                    # A long training has millions of metrics here, and decoding them would take as many microseconds.
                    if b'"artifact"' not in line:
                        continue
                    try:
                        event = json.loads(line)
                    except ValueError:  # a line that another process is writing
                        continue
                    if isinstance(event, dict) and event.get("kind") == "artifact" and event.get("name") == name:
                        found = event.get("path")
        except FileNotFoundError:
            pass
        return found

    def _metric(self, name: str, value: Any, step: Any) -> str:
        if type(name) is not str or not name:
            _values.name("a metric", name)
        if type(value) is not float:
            value = _values.metric(name, value)
        encoded = self._float(value) if type(value) is float else str(value)
        event = f'{{"kind":"metric","name":{self._quote(name)},"value":{encoded}'
        if step is None:
            return f'{event},"time":{_now():.3f}}}\n'
        number = step if type(step) is int else _step(name, step)
        return f'{event},"step":{number},"time":{_now():.3f}}}\n'

    def _float(self, value: float) -> str:
        if value - value == 0.0:
            return repr(value)
        return f'"{value!r}","type":"float"'

    def _describe(self) -> dict[str, Any]:
        if self._description is None:
            import json

            file = os.path.join(self.folder, "stage.json")
            try:
                with open(file, encoding="utf-8") as stream:
                    description: dict[str, Any] = json.load(stream)
            except (OSError, ValueError) as error:
                raise KeptError(f"cannot read the description of this run: {error}") from error
            self.stage = self.stage or description.get("stage", "")
            self._description = description
        return self._description

    def _append(self, text: str) -> None:
        data = text.encode("ascii")
        if not data:
            return
        try:
            if self._fd < 0:
                self._fd = _open(self._events)
            try:
                written = _write(self._fd, data)
            except OSError as error:
                # Daemons close every descriptor that they inherit.
                if error.errno != errno.EBADF:
                    raise
                self._fd = _open(self._events)
                written = _write(self._fd, data)
            while written < len(data):  # a full disk, mostly: the next write says so
                written += _write(self._fd, data[written:])
        except OSError as error:
            raise KeptError(f"cannot write to the event file of this run: {error}") from error

    def forget(self) -> None:
        """Give up the inherited descriptor in a forked child, where its number may come to mean another file."""
        self._fd = -1


class _OwnRun:
    """What a run begun by this process needs at its end: its id, and how the program exits.

    Python tells nobody the exit code on the way out, so it is taken where it
    is made: at an uncaught exception and at sys.exit. ``raise SystemExit(n)``
    goes unseen and counts as 0.
    """

    def __init__(self, ident: str) -> None:
        self.ident = ident
        self.pid = os.getpid()
        self.code = 0
        self._thread = _thread.get_ident()
        self._excepthook = sys.excepthook
        self._exit = sys.exit
        sys.excepthook = self._on_exception
        sys.exit = self._on_exit

    def end(self) -> None:
        from kept import _binary

        if os.getpid() == self.pid:  # a forked child must not end its parent's run
            _binary.call(["record", "end", self.ident, "--exit", str(self.code)])

    def _on_exception(self, kind: type[BaseException], value: BaseException, trace: TracebackType | None) -> None:
        self.code = 130 if issubclass(kind, KeyboardInterrupt) else 1
        self._excepthook(kind, value, trace)

    def _on_exit(self, status: Any = None) -> NoReturn:
        if _thread.get_ident() == self._thread:  # in another thread sys.exit ends just that
            self.code = status & 0xFF if isinstance(status, int) else 0 if status is None else 1
        self._exit(status)


_lock = _thread.RLock()
_current: Run | None = None
_own: _OwnRun | None = None
_watched = False


def disabled() -> bool:
    """Tell whether KEPT_DISABLED turns recording off."""
    return os.environ.get("KEPT_DISABLED", "") not in ("", "0")


def current() -> Run | None:
    """Return the run of this process, beginning one where there is none; None where recording is off."""
    return _current or joined() or (None if disabled() else _begin())


def joined() -> Run | None:
    """Return the run that this process is in already, or None. Begins none."""
    global _current
    if _current is None and not disabled():
        with _lock:
            folder = os.environ.get("KEPT_RUN_DIR")
            if _current is None and folder:
                experiment = os.environ.get("KEPT_EXPERIMENT")
                if not experiment:
                    raise KeptError("KEPT_RUN_DIR is set but KEPT_EXPERIMENT is not", "start the program with kept run")
                _current = Run(folder, experiment, os.environ.get("KEPT_STAGE", ""))
                watch()
    return _current


def watch() -> None:
    """See to the end of the process, once."""
    global _watched
    if not _watched:
        _watched = True
        atexit.register(_finish)


def _begin() -> Run:
    global _current, _own
    with _lock:
        if _current is not None:
            return _current
        import json

        from kept import _binary

        try:
            said = _binary.output(["record", "begin", "--json", "--", *_argv()])
            begun = json.loads(said)
            run = Run(begun["dir"], begun["experiment"], begun.get("stage") or "")
            own = _OwnRun(begun["id"])
        except KeptError as error:
            raise KeptError(error.message, f"{error.hint}; or {_NO_RECORD}" if error.hint else _NO_RECORD) from error
        except (ValueError, KeyError, TypeError) as error:
            raise KeptError("kept record begin printed something else than a run", _NO_RECORD) from error
        run._description = begun
        # Processes that this one starts take part in the run instead of beginning one each.
        os.environ.update(
            KEPT_RUN=own.ident, KEPT_RUN_DIR=run.folder, KEPT_EXPERIMENT=run.experiment, KEPT_BINARY=_binary.find()
        )
        _current, _own = run, own
        watch()
        return run


def _argv() -> list[str]:
    """Return the command of this program as one would type it, the same on every machine."""
    argv = list(getattr(sys, "orig_argv", ()))  # 3.10 and later
    if argv:
        return [os.path.basename(argv[0]), *argv[1:]]
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    if spec is not None:  # python -m module
        module = spec.parent if spec.name.endswith(".__main__") else spec.name
        return ["python", "-m", module, *sys.argv[1:]]
    return ["python", *sys.argv]


def _finish() -> None:
    # What goes wrong here must neither show a traceback nor change the exit code of a program that is done.
    try:
        run = joined()
        if run is not None:
            from kept import _environment

            run.environment(_environment.runtime(), _environment.packages())
    except BaseException:  # noqa: S110
        pass
    try:
        if _own is not None:
            _own.end()
    except BaseException as error:
        sys.stderr.write(f"kept: the run was not recorded: {error}\n")


def _after_fork() -> None:
    global _lock
    _lock = _thread.RLock()  # another thread may have held it
    if _current is not None:
        _current.forget()


def _step(name: str, step: Any) -> int:
    try:
        step = step.__index__()
    except AttributeError:
        raise TypeError(f"the step of metric {name!r} must be an integer, not {type(step).__qualname__}") from None
    return int(step)


if sys.platform == "win32":

    def _open(path: str) -> int:
        # The C library's append mode seeks and then writes, which two processes can do at once. A handle that may
        # only append makes it one step of the system's.
        import _winapi
        import msvcrt

        append_data, open_always, share_all = 0x4, 4, 0x7
        handle = _winapi.CreateFile(path, append_data, share_all, 0, open_always, 0, 0)
        return msvcrt.open_osfhandle(handle, os.O_BINARY)

else:

    def _open(path: str) -> int:
        return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)

    os.register_at_fork(after_in_child=_after_fork)

if os.environ.get("KEPT_RUN_DIR") and not disabled():
    watch()
