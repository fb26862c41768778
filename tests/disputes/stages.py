"""Where a story is played: in the model alone, or in model and contracts at once."""

from typing import Any

import pytest
from tests.disputes.play import Play


def on_stage(name: str, **options: Any) -> Play:
    """A play in the model, or in model and contracts."""
    if name == "model":
        return Play(**options)
    pytest.importorskip("pyrevm", reason="pyrevm has no wheel for this Python")
    from tests.disputes.guest import Guest
    from tests.disputes.mirror import Contracts, Mirror

    guest = Guest()
    return Play(Mirror(Contracts(guest), guest), guest, **options)
