"""The executable specification: the rules of `protocol/` in plain Python, one module a chapter.

It imports nothing of ours and is written for a reader. The native engine is a second writing of
the same chapters; the differential test drives both with the same streams.

    state = State("minimal")
    code, events = apply(state, message, from_inbox=True, stamp_min_ms=0, stamp_max_ms=2**64 - 1)
    print(dump(state))
"""

from provenue.spec.batches import batch_messages, posted_count, posted_message
from provenue.spec.constants import Code
from provenue.spec.crypto import CRYPTO, Crypto
from provenue.spec.dump import dump
from provenue.spec.events import Event, pack_events
from provenue.spec.program import apply
from provenue.spec.state import State

__all__ = [
    "CRYPTO", "Code", "Crypto", "Event", "State", "apply", "batch_messages", "dump",
    "pack_events", "posted_count", "posted_message",
]  # fmt: skip
