"""Writing objects to files and reading them, by the extension of the file.

A format is two functions over an open binary file. Formats that only hold
data read no code from a file, whoever wrote it. Pickle and joblib run what the
file tells them to; they are here for a repository's own artifacts, whose bytes
the program has verified against the lock.
"""

from __future__ import annotations

import os

from kept._errors import KeptError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import IO, Any

# Fixed, so that the same object gives the same bytes whatever Python's default is. Every supported Python has it.
PICKLE_PROTOCOL = 4


def dump(obj: Any, target: str, format: str | None) -> None:
    """Write an object to a file, all or nothing; folders on the way are created."""
    write = _functions(target, format)[0]
    folder = os.path.dirname(target)
    try:
        os.makedirs(folder, exist_ok=True)
        # In the same folder, because a rename is atomic only within a file system.
        temporary = os.path.join(folder, f".kept-{os.getpid()}-{os.urandom(6).hex()}.tmp")
        try:
            with open(temporary, "xb") as file:
                write(obj, file)
            os.replace(temporary, target)
        except BaseException:
            _remove(temporary)
            raise
    except OSError as error:
        raise KeptError(f"cannot write {target}: {error.strerror or error}") from error


def load(file: IO[bytes], path: str, format: str | None) -> Any:
    """Read an object from an open file that is called ``path``."""
    return _functions(path, format)[1](file)


def check(path: str, format: str | None) -> None:
    """Refuse a file that load would, before anybody fetches it."""
    _functions(path, format)


def _functions(path: str, format: str | None) -> tuple[Callable[[Any, IO[bytes]], None], Callable[[IO[bytes]], Any]]:
    extension = (format if format is not None else os.path.splitext(path)[1]).lstrip(".").lower()
    if extension not in _FORMATS:
        known = ", ".join(_FORMATS)
        said = f"format {extension!r} is not known" if extension else f"{path} has no extension to tell its format"
        raise KeptError(f"{said} (known: {known})", 'say format="json", or write and read the file itself')
    return _FORMATS[extension]


def _remove(path: str) -> None:
    from contextlib import suppress

    with suppress(OSError):
        os.remove(path)


class _Needs:
    """Turns the absence of a library into what to install."""

    def __init__(self, packages: str) -> None:
        self.packages = packages

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, ImportError):
            raise KeptError(f"this format needs {self.packages}: {error}", f"pip install {self.packages}") from error


def _dump_json(obj: Any, file: IO[bytes]) -> None:
    import json

    text = json.dumps(obj, ensure_ascii=False, indent=2, allow_nan=False, default=_plain)
    file.write(text.encode() + b"\n")


def _plain(obj: Any) -> Any:
    """Return NumPy's scalars and arrays, and tensors, as json can write them."""
    tolist = getattr(obj, "tolist", None)
    if tolist is None:
        raise TypeError(f"{type(obj).__qualname__} is nothing that JSON can hold")
    return tolist()


def _load_json(file: IO[bytes]) -> Any:
    import json

    return json.loads(file.read())


def _dump_text(obj: Any, file: IO[bytes]) -> None:
    if not isinstance(obj, str):
        raise TypeError(f"a .txt artifact is a str, not {type(obj).__qualname__}")
    file.write(obj.encode())


def _load_text(file: IO[bytes]) -> str:
    return file.read().decode()


def _dump_npy(obj: Any, file: IO[bytes]) -> None:
    with _Needs("numpy"):
        import numpy
    numpy.save(file, obj, allow_pickle=False)


def _load_npy(file: IO[bytes]) -> Any:
    with _Needs("numpy"):
        import numpy
    return numpy.load(file, allow_pickle=False)


def _dump_npz(obj: Mapping[str, Any], file: IO[bytes]) -> None:
    with _Needs("numpy"):
        import numpy
    arrays = {key: numpy.asanyarray(value) for key, value in _mapping(obj, ".npz").items()}
    for key, array in arrays.items():
        if array.dtype.hasobject:  # savez would pickle it
            raise TypeError(f"array {key!r} holds Python objects; .npz artifacts hold plain numbers and strings")
    numpy.savez(file, **arrays)


def _load_npz(file: IO[bytes]) -> Any:
    with _Needs("numpy"):
        import numpy
    with numpy.load(file, allow_pickle=False) as arrays:
        return dict(arrays)


def _dump_parquet(obj: Any, file: IO[bytes]) -> None:
    if not hasattr(obj, "to_parquet"):
        raise TypeError(f"a .parquet artifact is a pandas DataFrame, not {type(obj).__qualname__}")
    with _Needs("pandas pyarrow"):
        # As bytes, because pandas closes a file that it is given.
        file.write(obj.to_parquet())


def _load_parquet(file: IO[bytes]) -> Any:
    with _Needs("pandas pyarrow"):
        import pandas

        return pandas.read_parquet(file)


def _dump_csv(obj: Any, file: IO[bytes]) -> None:
    if not hasattr(obj, "to_csv") or not hasattr(obj, "columns"):
        raise TypeError(f"a .csv artifact is a pandas DataFrame, not {type(obj).__qualname__}")
    if list(obj.index) != list(range(len(obj))):
        raise ValueError("a .csv artifact has no index: call reset_index() first, or use .parquet")
    file.write(obj.to_csv(index=False, lineterminator="\n").encode())


def _load_csv(file: IO[bytes]) -> Any:
    with _Needs("pandas"):
        import pandas
    return pandas.read_csv(file)


def _dump_safetensors(obj: Mapping[str, Any], file: IO[bytes]) -> None:
    tensors = _mapping(obj, ".safetensors")
    # The library's own mark of which arrays a file was made from, which load goes by.
    if any(type(value).__module__.partition(".")[0] == "torch" for value in tensors.values()):
        with _Needs("safetensors torch"):
            from safetensors.torch import save as save_torch
        file.write(save_torch(dict(tensors), metadata={"format": "pt"}))
    else:
        with _Needs("safetensors numpy"):
            from safetensors.numpy import save as save_numpy
        file.write(save_numpy(dict(tensors), metadata={"format": "np"}))


def _load_safetensors(file: IO[bytes]) -> Any:
    data = file.read()
    if _safetensors_format(data) == "pt":
        with _Needs("safetensors torch"):
            from safetensors.torch import load as load_torch
        return load_torch(data)
    with _Needs("safetensors numpy"):
        from safetensors.numpy import load as load_numpy
    return load_numpy(data)


def _safetensors_format(data: bytes) -> object:
    import json

    try:
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        return header.get("__metadata__", {}).get("format")
    except (ValueError, AttributeError):
        return None  # the library has the better words for a file that is none


def _dump_skops(obj: Any, file: IO[bytes]) -> None:
    with _Needs("skops"):
        from skops.io import dumps
    file.write(dumps(obj))


def _load_skops(file: IO[bytes]) -> Any:
    with _Needs("skops"):
        from skops.io import loads
    return loads(file.read())


def _dump_joblib(obj: Any, file: IO[bytes]) -> None:
    with _Needs("joblib"):
        import joblib
    joblib.dump(obj, file, protocol=PICKLE_PROTOCOL)


def _load_joblib(file: IO[bytes]) -> Any:
    with _Needs("joblib"):
        import joblib
    return joblib.load(file)


def _dump_pickle(obj: Any, file: IO[bytes]) -> None:
    import pickle

    pickle.dump(obj, file, protocol=PICKLE_PROTOCOL)


def _load_pickle(file: IO[bytes]) -> Any:
    import pickle

    return pickle.load(file)  # noqa: S301  verified against this repository's own lock


def _mapping(obj: Any, extension: str) -> Mapping[str, Any]:
    if not hasattr(obj, "items"):
        raise TypeError(f"a {extension} artifact is a dict of arrays by name, not {type(obj).__qualname__}")
    mapping: Mapping[str, Any] = obj
    return mapping


_FORMATS: dict[str, tuple[Callable[[Any, IO[bytes]], None], Callable[[IO[bytes]], Any]]] = {
    "json": (_dump_json, _load_json),
    "txt": (_dump_text, _load_text),
    "npy": (_dump_npy, _load_npy),
    "npz": (_dump_npz, _load_npz),
    "parquet": (_dump_parquet, _load_parquet),
    "csv": (_dump_csv, _load_csv),
    "safetensors": (_dump_safetensors, _load_safetensors),
    "skops": (_dump_skops, _load_skops),
    "joblib": (_dump_joblib, _load_joblib),
    "pkl": (_dump_pickle, _load_pickle),
    "pickle": (_dump_pickle, _load_pickle),
}
