"""What a party has sent: one line per transaction, kept beside its archive.

Only for people and figures. What to do next is never read from here but from the chain.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

__all__ = ["AFTER_VERDICT", "DisputeCost", "Ledger", "Made"]

AFTER_VERDICT = frozenset(
    {"finalize", "release", "release_inner", "withdraw_credit", "withdraw_bond"}
)
"""What brings money home or hurries finality: not part of what a dispute costs."""


class Made(msgspec.Struct, frozen=True):
    """A transaction that was mined. `moves` are its functions, bundled ones joined by `+`."""

    time_s: int
    batch: int
    match: str
    moves: str
    tx_hash: str
    block: int
    gas: int
    succeeded: bool

    @property
    def counts(self) -> bool:
        """Whether it belongs to a dispute, from detection to verdict."""
        return self.batch >= 0 and self.moves not in AFTER_VERDICT


class DisputeCost(msgspec.Struct, frozen=True):
    """What the disputes about one batch cost this party, whatever the number of rivals."""

    batch: int
    transactions: int
    gas: int


class Ledger:
    """The file `moves.jsonl` of a folder, or nothing but memory."""

    def __init__(self, folder: Path | None = None) -> None:
        self._path = None if folder is None else folder / "moves.jsonl"
        self.made: list[Made] = []
        if self._path is not None and self._path.exists():
            for line in self._path.read_bytes().splitlines():
                try:
                    self.made.append(msgspec.json.decode(line, type=Made))
                except msgspec.MsgspecError:
                    continue  # torn by a crash: nothing depends on it

    def record(self, made: Made) -> None:
        """Add one."""
        self.made.append(made)
        if self._path is not None:
            with self._path.open("ab") as file:
                file.write(msgspec.json.encode(made) + b"\n")

    def disputes(self) -> list[DisputeCost]:
        """By batch, oldest first."""
        batches = sorted({made.batch for made in self.made if made.counts})
        return [
            DisputeCost(
                batch,
                sum(made.counts for made in self.made if made.batch == batch),
                sum(made.gas for made in self.made if made.batch == batch and made.counts),
            )
            for batch in batches
        ]
