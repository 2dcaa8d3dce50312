"""Makes a wheel that carries the kept program, when build_wheel.sh says which.

    KEPT_WHEEL_BINARY     the program, built for the platform
    KEPT_WHEEL_PLATFORM   the wheel's platform tag, such as manylinux2014_x86_64
    KEPT_WHEEL_VERSION    its version

The program goes to the scripts of the wheel, so that `kept` on the command
line is the program itself and starts without Python. Without these variables
the wheel is plain Python, and kept must be on PATH.
"""

from __future__ import annotations

import os
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


def version() -> str:
    """Return the version to build."""
    return os.environ.get("KEPT_WHEEL_VERSION", "0.0.0")


class CustomBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Adds the program and says what the wheel runs on."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Change what is built."""
        program = os.environ.get("KEPT_WHEEL_BINARY")
        if not program or self.target_name != "wheel":
            return
        platform = os.environ["KEPT_WHEEL_PLATFORM"]
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{platform}"
        build_data["shared_scripts"][program] = "kept.exe" if platform.startswith("win") else "kept"
