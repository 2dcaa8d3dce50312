"""Which paths a lock may name: the rules of docs/spec, the same on every system.

What one machine keeps every other must be able to restore, so a name that any
file system or Git takes for something else is refused everywhere.
"""

from __future__ import annotations

_MAX_PATH, _MAX_NAME = 4096, 255  # bytes of UTF-8
_DEVICES = frozenset(
    ["con", "prn", "aux", "nul", "conin$", "conout$", "clock$"]
    + [port + digit for port in ("com", "lpt") for digit in "0123456789¹²³"]
)
# What HFS+ skips when it compares names (Apple's Technical Note 1150).
_IGNORED = dict.fromkeys([*range(0x200C, 0x2010), *range(0x202A, 0x202F), *range(0x206A, 0x2070), 0xFEFF])


def refusal(path: str) -> str:
    """Say why a path is not allowed; "" where it is."""
    if not path:
        return "it is empty"
    if len(path.encode()) > _MAX_PATH:
        return f"it is longer than {_MAX_PATH} bytes"
    if path[0] == "/":
        return "it is absolute"
    for name in path.split("/"):
        reason = _refusal_of_name(name)
        if reason:
            return reason
    return ""


def input_refusal(path: str) -> str:
    """Say why an input's path is not allowed. Inputs are only read and may lie beside the experiment."""
    below = path
    while below.startswith("../"):
        below = below[3:]
    return refusal(below)


def folded(path: str) -> tuple[str, ...]:
    """Return the components of a path as the most generous file system compares them."""
    return tuple(_fold(path).split("/"))


def _fold(text: str) -> str:
    if text.isascii():
        return text.lower()
    from unicodedata import normalize

    # Decomposed before and composed after: folding a composed letter can leave one that is not.
    return normalize("NFC", normalize("NFD", text.translate(_IGNORED)).casefold())


def _refusal_of_name(name: str) -> str:
    if not name:
        return "it has an empty component"
    if name in (".", ".."):
        return f'it has a component "{name}"'
    if len(name.encode()) > _MAX_NAME:
        return f"a component is longer than {_MAX_NAME} bytes"
    for char in name:
        if char < " " or "\x7f" <= char <= "\x9f":
            return "it has a control character"
        if char in '\\:<>"|?*':
            return f'Windows cannot have "{char}" in a name'
    if name[-1] in ". ":
        return "Windows drops a dot or space at the end of a name"
    plain = _fold(name).rstrip(". ")
    if plain == ".git" or (plain.startswith("git~") and len(plain) > 4 and not plain[4:].strip("0123456789")):
        return 'it has a component that some system takes for ".git"'
    if name.partition(".")[0].rstrip(" ").lower() in _DEVICES:
        return "it has a component that is a device on Windows"
    return ""
