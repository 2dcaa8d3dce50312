"""Which installed distributions a program has imported, on made-up installations."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support import Experiment, clean

import kept
from kept import _environment


class Site:
    """A folder on sys.path with installed distributions."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def install(self, name: str, version: str, *files: str, info: str = "dist-info") -> None:
        for file in files:
            path = self.folder / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        folder = self.folder / f"{name.replace('-', '_')}-{version}.{info}"
        folder.mkdir()
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nSummary: x\n\nName: text\n"
        if info == "dist-info":
            (folder / "METADATA").write_text(metadata)
            (folder / "RECORD").write_text("".join(f"{file},sha256=x,0\n" for file in files))
        else:
            (folder / "PKG-INFO").write_text(metadata)
            tops = {file.partition("/")[0].partition(".")[0] for file in files}
            (folder / "top_level.txt").write_text("\n".join(tops))


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    made = Site(tmp_path / "site")
    made.folder.mkdir()
    monkeypatch.syspath_prepend(str(made.folder))
    for name in [name for name in sys.modules if name.startswith("zz")]:
        monkeypatch.delitem(sys.modules, name)
    return made


def found(site: Site, *modules: str) -> dict[str, str]:
    for module in modules:
        __import__(module)
    try:
        return {name: version for name, version in _environment.packages().items() if name.startswith("zz")}
    finally:
        for module in [name for name in sys.modules if name.startswith("zz")]:
            del sys.modules[module]


def test_imported_and_installed(site: Site) -> None:
    site.install("ZZ_One.X", "1.0", "zzone/__init__.py", "zzone/sub.py")
    site.install("zz-two", "2.0", "zztwo.py")
    site.install("zz-three", "3.0", "zzthree.py")
    site.install("zz-old", "4.0+cu118", "zzold/__init__.py", info="egg-info")
    assert found(site, "zzone", "zztwo", "zzold") == {"zz-one-x": "1.0", "zz-two": "2.0", "zz-old": "4.0+cu118"}


def test_distributions_that_share_a_namespace(site: Site) -> None:
    site.install("zz-cloud-a", "1", "zzcloud/a/__init__.py")
    site.install("zz-cloud-b", "2", "zzcloud/b/__init__.py")
    assert found(site, "zzcloud.b") == {"zz-cloud-b": "2"}


def test_broken_installations_are_passed_over(site: Site) -> None:
    site.install("zz-two", "2.0", "zztwo.py")
    (site.folder / "zz_two-2.0.dist-info" / "METADATA").write_bytes(b"\xff\xfe")
    site.install("zz-one", "1.0", "zzone.py")
    assert found(site, "zzone", "zztwo") == {"zz-one": "1.0"}


def test_neither_the_standard_library_nor_kept(experiment: Experiment) -> None:
    assert "kept" not in _environment.packages()
    code = "import kept, json, sqlite3, email\nfrom kept import _environment\nprint(sorted(_environment.packages()))"
    # Without site, whose .pth files may import anything.
    done = subprocess.run([sys.executable, "-Sc", code], env=clean(), capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_importing_kept_is_light() -> None:
    heavy = {"json", "re", "typing", "subprocess", "pathlib", "tempfile", "threading", "importlib.metadata", "pickle"}
    code = "import sys; before = set(sys.modules); import kept; print(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], env=clean(), capture_output=True, text=True, check=True)
    assert heavy.isdisjoint(done.stdout.split())
    assert set(kept.__all__) <= set(dir(kept))
