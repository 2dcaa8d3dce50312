"""Finding the kept program and running it.

All that needs Git, the store or the network is the program's work. This
module runs it with a fixed argument list, never through a shell, and turns
what it says on stderr into a KeptError.
"""

from __future__ import annotations

import os
import sys

from kept._errors import KeptError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from subprocess import CompletedProcess
    from typing import IO, NoReturn

_EXE = "kept.exe" if os.name == "nt" else "kept"


def find() -> str:
    """Return the absolute path of the kept program.

    In this order: the KEPT_BINARY environment variable (set by ``kept run``,
    so that a run is recorded by the program that started it), the package's
    own bin folder, the scripts folder that the wheel installed it to, PATH.
    """
    named = os.environ.get("KEPT_BINARY")
    if named:
        if not _is_program(named):
            raise KeptError(
                f"KEPT_BINARY names no program: {named!r}", "unset KEPT_BINARY or set it to the kept program"
            )
        return os.path.abspath(named)
    for folder in _folders():
        program = os.path.join(folder, _EXE)
        if _is_program(program):
            return program
    on_path = which("kept")
    if on_path is None:
        raise KeptError("the kept program is not installed", "pip install kept, or put kept on PATH")
    return on_path


def which(name: str) -> str | None:
    """Return the absolute path of a program on PATH, or None.

    Unlike shutil.which it never looks into the current folder, which may be a
    repository that brings a ``git.exe`` of its own.
    """
    suffix = ".exe" if os.name == "nt" else ""
    for folder in os.environ.get("PATH", os.defpath).split(os.pathsep):
        if os.path.isabs(folder):
            program = os.path.join(folder, name + suffix)
            if _is_program(program):
                return program
    return None


def output(args: Sequence[str], cwd: str | None = None) -> bytes:
    """Run kept and return what it prints; anything but exit code 0 is a KeptError."""
    import subprocess

    done = _start(args, cwd, subprocess.PIPE)
    return bytes(done.stdout)


def output_to(file: IO[bytes], args: Sequence[str], cwd: str) -> None:
    """Run kept with ``file`` as its stdout; the bytes count only when this returns."""
    _start(args, cwd, file)


def call(args: Sequence[str]) -> int:
    """Run kept on this program's own stdout and stderr and return its exit code."""
    import subprocess

    return subprocess.call([find(), *args], stdin=subprocess.DEVNULL)


def main() -> NoReturn:
    """Be the kept program: what ``python -m kept`` runs."""
    try:
        program = find()
    except KeptError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(2)
    argv = [program, *sys.argv[1:]]
    if os.name == "posix":
        os.execv(program, argv)  # noqa: S606
    import subprocess

    try:
        sys.exit(subprocess.call(argv))
    except KeyboardInterrupt:  # the program got it too, and has said what there is to say
        sys.exit(130)


def _folders() -> Iterator[str]:
    yield os.path.join(os.path.dirname(os.path.abspath(__file__)), "bin")
    # A virtual environment keeps its scripts beside the interpreter: the usual case, and the cheap one.
    if sys.executable:
        yield os.path.dirname(sys.executable)
    import sysconfig

    yield sysconfig.get_path("scripts")
    yield sysconfig.get_path("scripts", os.name + "_user")
    # pip install --target puts the package into DIR/kept and the program into DIR/bin.
    yield os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "bin")


def _is_program(path: str) -> bool:
    return os.path.isfile(path) and os.access(path, os.X_OK)


def _start(args: Sequence[str], cwd: str | None, stdout: int | IO[bytes]) -> CompletedProcess[bytes]:
    import subprocess

    program = find()
    try:
        done = subprocess.run(
            [program, *args], cwd=cwd, stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.PIPE, check=False
        )
    except OSError as error:
        raise KeptError(f"cannot run {program}: {error.strerror}") from error
    if done.returncode != 0:
        raise _failure(args, done.returncode, done.stderr.decode("utf-8", "replace"))
    return done


def _failure(args: Sequence[str], code: int, stderr: str) -> KeptError:
    """Take the "error: …" and "hint: …" lines that kept prints as the last thing."""
    message, hint = "", ""
    for line in stderr.splitlines():
        if line.startswith("error: "):
            message, hint = line[7:], ""
        elif line.startswith("hint: "):
            hint = line[6:]
    if not message:
        said = stderr.strip().splitlines()
        message = f"kept {args[0]} ended with exit code {code}" + (f": {said[-1]}" if said else "")
    return KeptError(message, hint)
