"""What the program ran on: the interpreter and the packages that it imported.

    runtime()    # "python 3.11.7"
    packages()   # {"numpy": "2.1.0", "scikit-learn": "1.5.2"}: name to version

A distribution counts when one of the files that it installed is loaded as a
module. That is exact where several share a namespace (google.*), and needs no
table of which distribution brings which module. importlib.metadata knows the
same files, but reads them too slowly for the end of every program.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

# Loaded by .pth files at every start of the interpreter, whatever the program does.
_AT_START = ("_distutils_hack", "_virtualenv", "__editable__")


def runtime() -> str:
    """Return the interpreter and its version."""
    return f"python {sys.version_info[0]}.{sys.version_info[1]}.{sys.version_info[2]}"


def packages() -> dict[str, str]:
    """Return the distributions whose modules are loaded; names are normalised as PEP 503 says."""
    found: dict[str, str] = {}
    loaded = _loaded_files()
    for folder in dict.fromkeys(sys.path):
        files = _below(folder, loaded)
        if not files:
            continue
        for info in _infos(folder):
            if _provides(info, files):
                name, version = _name_and_version(info)
                if name and version:
                    found.setdefault(_normalise(name), version)
    found.pop("kept", None)
    return found


def _loaded_files() -> list[str]:
    files = []
    for name, module in list(sys.modules.items()):
        if not name.startswith(_AT_START):
            file = getattr(module, "__file__", None)
            if isinstance(file, str):
                files.append(file)
    return files


def _below(folder: str, files: list[str]) -> set[str]:
    """Return the files that lie in a folder, as records name them."""
    if not folder:
        return set()
    prefix = folder.rstrip(os.sep) + os.sep
    below = {file[len(prefix) :] for file in files if file.startswith(prefix)}
    return {file.replace(os.sep, "/") for file in below} if os.sep != "/" else below


def _infos(folder: str) -> Iterator[str]:
    """Return the metadata folders of what is installed in a folder of sys.path."""
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if entry.name.endswith((".dist-info", ".egg-info"))]
    except OSError:
        return
    for name in sorted(names):
        yield os.path.join(folder, name)


def _provides(info: str, files: set[str]) -> bool:
    record = _read(os.path.join(info, "RECORD"))
    if record:
        # Lines are "path,hash,size"; a quoted path has a comma in it and is no module.
        return any(line.partition(",")[0] in files for line in record.splitlines())
    # Debian's packages and old set-ups record no files, only the top-level names.
    tops = {name for name in _read(os.path.join(info, "top_level.txt")).split() if name}
    if not tops:
        name = os.path.basename(info).partition("-")[0]
        tops = {name, name.replace("-", "_"), name.lower()}
    return any(file.partition("/")[0] in tops or file.partition(".")[0] in tops for file in files)


def _name_and_version(info: str) -> tuple[str, str]:
    header: dict[str, str] = {}
    for file in (os.path.join(info, "METADATA"), os.path.join(info, "PKG-INFO"), info):
        for line in _read(file).splitlines():
            key, colon, value = line.partition(": ")
            if not line or (not colon and not line.startswith((" ", "\t"))):
                break
            header.setdefault(key.lower(), value.strip())
        if header:
            break
    return header.get("name", ""), header.get("version", "")


def _normalise(name: str) -> str:
    return "-".join(part for part in name.lower().replace("_", "-").replace(".", "-").split("-") if part)


def _read(file: str) -> str:
    try:
        with open(file, encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except OSError:
        return ""
