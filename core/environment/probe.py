# Prints one line about the interpreter that runs it. Started with -c by
# interpreter.go. It reads file names and metadata only: it imports nothing of
# the user's and nothing out of the current folder.
import sys

if sys.version_info < (3, 6):
    sys.exit(0)

# -c puts '' (the current folder) first: a file json.py there would be run.
seen = [p for p in sys.path if p]
sys.path[:] = seen
import os  # has been loaded at start-up, by site

# What is imported from here on comes out of the standard library, not out of PYTHONPATH.
lib = os.path.dirname(os.__file__)
sys.path[:] = [
    p for p in seen
    if (p == lib or p.startswith(lib + os.sep))
    and os.path.basename(p) not in ("site-packages", "dist-packages")
]
import json


def headers(path):
    """Name and version out of a METADATA or PKG-INFO file."""
    name = version = ""
    with open(path, encoding="utf-8", errors="replace") as f:
        for line in f:
            key, _, value = line.partition(":")
            key = key.strip().lower()
            if key == "name":
                name = value.strip()
            elif key == "version":
                version = value.strip()
            if not line.strip() or (name and version):
                break
    return name, version


packages, blas, names = [], set(), set()
for folder in seen:
    try:
        entries = sorted(os.listdir(folder))
    except OSError:
        continue
    for entry in entries:
        path = os.path.join(folder, entry)
        kind = entry.lower()
        if kind.startswith("~"):
            continue  # what pip leaves behind when it cannot remove a package
        if kind in ("numpy.libs", "scipy.libs"):
            try:
                blas.update(f for f in os.listdir(path) if "blas" in f.lower() or "mkl" in f.lower())
            except OSError:
                pass
        if kind.endswith(".dist-info"):
            path = os.path.join(path, "METADATA")
        elif not kind.endswith(".egg-info"):
            continue
        elif os.path.isdir(path):
            path = os.path.join(path, "PKG-INFO")
        try:
            name, version = headers(path)
        except OSError:
            continue
        key = name.lower().replace("_", "-").replace(".", "-")
        if name and key not in names:  # the first on the path is the one that is imported
            names.add(key)
            packages.append([name, version])

try:
    abi = __import__("_imp").extension_suffixes()[0]
except Exception:
    abi = ""
try:
    libc = os.confstr("CS_GNU_LIBC_VERSION") or ""
except Exception:
    libc = ""

print("\nkept-runtime: " + json.dumps({
    "implementation": sys.implementation.name,
    "version": sys.version.split()[0],
    "build": sys.version,
    "abi": abi,
    "libc": libc,
    "executable": sys.executable or "",
    "prefix": sys.prefix,
    "base_prefix": getattr(sys, "base_prefix", sys.prefix),
    "blas": sorted(blas),
    "packages": packages,
}))
