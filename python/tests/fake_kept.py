"""Stands in for the kept program in tests: serves the files of $FAKE_KEPT and notes how it was called.

$FAKE_KEPT/calls.jsonl    one line per call
$FAKE_KEPT/run            the folder of the run that `record begin` begins
$FAKE_KEPT/objects/NAME[@REV]   what `cat` and `path` give; NAME.corrupt is cut short and fails
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

FAKE = Path(os.environ["FAKE_KEPT"])


def fail(message: str, hint: str = "", code: int = 1) -> None:
    print(f"error: {message}", file=sys.stderr)
    if hint:
        print(f"hint: {hint}", file=sys.stderr)
    sys.exit(code)


def main(argv: list[str]) -> None:
    with (FAKE / "calls.jsonl").open("a") as calls:
        calls.write(json.dumps({"argv": argv, "cwd": os.getcwd()}) + "\n")
    if (FAKE / "refuse").exists():
        fail("not a git repository", "git init", 2)
    if argv[:2] == ["record", "begin"]:
        run = FAKE / "run"
        run.mkdir()
        begun = json.loads((FAKE / "begin.json").read_text())
        begun.update(id="r1", dir=str(run))
        (run / "stage.json").write_text(json.dumps(begun))
        print(json.dumps(begun))
    elif argv[:2] == ["record", "end"]:
        pass
    elif argv[0] in ("cat", "path"):
        rev = "".join(["@" + a[len("--rev=") :] for a in argv if a.startswith("--rev=")])
        file = FAKE / "objects" / (argv[argv.index("--") + 1] + rev)
        if not file.exists():
            fail(f"object of {argv[-1]!r} is missing", "kept pull")
        if argv[0] == "path":
            print(file)
            return
        with file.open("rb") as stream:
            shutil.copyfileobj(stream, sys.stdout.buffer)
        sys.stdout.flush()
        if file.with_name(file.name + ".corrupt").exists():
            fail(f"bytes of {argv[-1]!r} do not match the lock")
    elif argv[0] == "version":
        print("kept fake")
    else:
        fail(f"unknown command {argv[0]!r}", code=2)


main(sys.argv[1:])
