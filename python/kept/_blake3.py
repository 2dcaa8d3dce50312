"""BLAKE3-256 for the few kilobytes of a lock's block.

The plain algorithm of the BLAKE3 paper, section 2, in Python: about 0.1 ms per
64 bytes. The ``blake3`` package is used instead where it is installed. The
content of artifacts is hashed by the kept program, never here.
"""

from __future__ import annotations

_IV = (0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19)
_PERMUTATION = (2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8)
# The eight quarter-rounds of a round: the columns of the state, then its diagonals.
_QUARTERS = (
    (0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
    (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14),
)  # fmt: skip
_BLOCK, _CHUNK = 64, 1024
_CHUNK_START, _CHUNK_END, _PARENT, _ROOT = 1, 2, 4, 8

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    # What remains to be compressed of a chunk or parent: chaining value, block, counter, length, flags.
    Node = tuple[Sequence[int], Sequence[int], int, int, int]


def hexdigest(data: bytes) -> str:
    """Return the BLAKE3-256 digest as 64 hexadecimal digits."""
    try:
        from blake3 import blake3
    except ImportError:
        return pure(data)
    return str(blake3(data).hexdigest())


def pure(data: bytes) -> str:
    """Return what hexdigest does, without the blake3 package."""
    key, block, counter, length, flags = _tree(data, 0)
    words = _compress(key, block, counter, length, flags | _ROOT)
    return b"".join(word.to_bytes(4, "little") for word in words).hex()


def _tree(data: bytes, index: int) -> Node:
    """Return the top node over ``data``, which begins with the chunk of that number."""
    if len(data) <= _CHUNK:
        return _chunk(data, index)
    # The left subtree is the largest that is complete and leaves something to the right.
    left = _CHUNK << ((len(data) - 1) // _CHUNK).bit_length() - 1
    block = [*_compress(*_tree(data[:left], index)), *_compress(*_tree(data[left:], index + left // _CHUNK))]
    return _IV, block, 0, _BLOCK, _PARENT


def _chunk(data: bytes, index: int) -> Node:
    chaining: Sequence[int] = _IV
    flags = _CHUNK_START
    start = 0
    while len(data) - start > _BLOCK:
        chaining = _compress(chaining, _words(data[start : start + _BLOCK]), index, _BLOCK, flags)
        flags = 0
        start += _BLOCK
    rest = data[start:]
    return chaining, _words(rest), index, len(rest), flags | _CHUNK_END


def _words(block: bytes) -> list[int]:
    block = block.ljust(_BLOCK, b"\0")
    return [int.from_bytes(block[i : i + 4], "little") for i in range(0, _BLOCK, 4)]


def _compress(key: Sequence[int], block: Sequence[int], counter: int, length: int, flags: int) -> list[int]:
    v = [*key, *_IV[:4], counter & 0xFFFFFFFF, counter >> 32, length, flags]
    for turn in range(7):
        if turn:
            block = [block[i] for i in _PERMUTATION]
        word = iter(block)
        for i, j, k, m in _QUARTERS:
            a, b, c, d = v[i], v[j], v[k], v[m]
            a = (a + b + next(word)) & 0xFFFFFFFF
            d ^= a
            d = (d >> 16 | d << 16) & 0xFFFFFFFF
            c = (c + d) & 0xFFFFFFFF
            b ^= c
            b = (b >> 12 | b << 20) & 0xFFFFFFFF
            a = (a + b + next(word)) & 0xFFFFFFFF
            d ^= a
            d = (d >> 8 | d << 24) & 0xFFFFFFFF
            c = (c + d) & 0xFFFFFFFF
            b ^= c
            v[i], v[j], v[k], v[m] = a, (b >> 7 | b << 25) & 0xFFFFFFFF, c, d
    return [v[i] ^ v[i + 8] for i in range(8)]
