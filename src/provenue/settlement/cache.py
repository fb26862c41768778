"""The one place on disk for what can be made again: compiled contracts, the anvil binary."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["cache_dir", "checkout_root"]


def checkout_root() -> Path | None:
    """The source checkout this package runs from, or None when it is installed."""
    root = Path(__file__).resolve().parents[3]
    return root if (root / "pyproject.toml").is_file() and (root / "contracts").is_dir() else None


def cache_dir(name: str) -> Path:
    """`$XDG_CACHE_HOME/provenue/NAME`, else `.cache/NAME` in the checkout, else below the
    user's home.
    """
    root = checkout_root()
    configured = os.environ.get("XDG_CACHE_HOME")
    if configured:
        base = Path(configured) / "provenue"
    elif root is not None:
        base = root / ".cache"
    else:
        base = Path.home() / ".cache" / "provenue"
    folder = base / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder
