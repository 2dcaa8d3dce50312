"""The one exception that this package raises on its own account."""

from __future__ import annotations


class KeptError(Exception):
    """Something about the repository, the run or the store stands in the way.

    ``hint`` says what to do about it, usually a command to type, and is empty
    where there is nothing to advise. Wrong arguments raise TypeError or
    ValueError instead.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\nhint: {self.hint}" if self.hint else self.message
