"""Where libsecp256k1 is: in the wheel of coincurve, for the extension to load."""

import functools
import importlib.util

__all__ = ["library_path"]


@functools.cache
def library_path() -> str:
    """The shared library's path; ImportError without coincurve."""
    spec = importlib.util.find_spec("coincurve._libsecp256k1")
    if spec is None or spec.origin is None:
        raise ImportError("coincurve: expected its libsecp256k1; install the package coincurve")
    return spec.origin
