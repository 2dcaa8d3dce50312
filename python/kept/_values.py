"""What a program may log: turning Python values into parameters and metrics.

A parameter is a bool, an int, a float, a str or a list of these. A metric is
an int or a float. NumPy scalars and zero-dimensional arrays and tensors count
as the Python value that their ``item()`` gives. They are recognised by their
shape, so that nothing has to be imported to tell them apart.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Union

    Value = Union[bool, int, float, str, "list[Value]"]

# The lock is TOML, whose integers are 64 bits wide.
_INT_MIN, _INT_MAX = -(2**63), 2**63 - 1


def name(kind: str, text: Any) -> str:
    """Check the name of a parameter, metric or artifact and return it."""
    if not isinstance(text, str):
        raise TypeError(f"the name of {kind} must be a string, not {_type(text)}")
    if not text:
        raise ValueError(f"the name of {kind} must not be empty")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError(f"the name of {kind} is not valid Unicode: {text!a}") from None
    return text


def param(key: str, value: Any) -> Value:
    """Return the plain form of a parameter's value; the error names the parameter."""
    value = _item(value)
    if value is True or value is False:
        return bool(value)
    if isinstance(value, int):
        return _int64(f"parameter {key!r}", value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, str):
        return _text(key, value)
    if isinstance(value, (list, tuple)):
        return [_element(key, v) for v in value]
    advice = "; leave it out" if value is None else "; call tolist() first" if hasattr(value, "tolist") else ""
    raise TypeError(
        f"parameter {key!r} must be a bool, int, float or str or a list of these, not {_type(value)}{advice}"
    )


def metric(key: str, value: Any) -> int | float:
    """Return the plain form of a metric's value; the error names the metric."""
    value = _item(value)
    if isinstance(value, int) and value is not True and value is not False:
        return _int64(f"metric {key!r}", value)
    if isinstance(value, float):
        return float(value)
    raise TypeError(f"metric {key!r} must be a number, not {_type(value)}")


def flatten(params: Mapping[str, Any]) -> dict[str, Value]:
    """Return nested parameters under dotted keys: {"tfidf": {"max": 2}} is {"tfidf.max": 2}."""
    flat: dict[str, Value] = {}
    _flatten(params, "", flat)
    return flat


def _flatten(params: Mapping[str, Any], prefix: str, flat: dict[str, Value]) -> None:
    for part, value in params.items():
        key = prefix + name(f"a parameter in {prefix[:-1]!r}" if prefix else "a parameter", part)
        # A mapping by what it can do: collections.abc would have to be imported to ask it.
        if hasattr(value, "items") and hasattr(value, "keys"):
            _flatten(value, key + ".", flat)
        elif key in flat:
            raise ValueError(f"parameter {key!r} is given twice, as a dotted key and in a nested dict")
        else:
            flat[key] = param(key, value)


def is_finite(value: float) -> bool:
    """Tell an ordinary float from nan and the infinities."""
    return value - value == 0.0


def _item(value: Any) -> Any:
    item = getattr(value, "item", None)
    if item is not None and getattr(value, "shape", None) == ():
        return item()
    return value


def _element(key: str, value: Any) -> Value:
    plain = param(key, value)
    if isinstance(plain, float) and not is_finite(plain):
        # The event file marks a non-finite number by its type, and a list has only one.
        raise ValueError(f"parameter {key!r} is a list that holds {plain!r}")
    return plain


def _int64(what: str, value: int) -> int:
    if not _INT_MIN <= value <= _INT_MAX:
        raise ValueError(f"{what} does not fit into 64 bits: {int(value)}")
    return int(value)


def _text(key: str, value: str) -> str:
    try:
        return value.encode().decode()  # also strips a subclass such as an Enum or numpy.str_
    except UnicodeEncodeError:
        raise ValueError(f"parameter {key!r} is not valid Unicode: {value!a}") from None


def _type(value: Any) -> str:
    kind = type(value)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    shape = getattr(value, "shape", None)
    return f"{name} of shape {tuple(shape)}" if isinstance(shape, tuple) else name
