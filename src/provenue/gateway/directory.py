"""Who owns which account, from durable events: asked at every login, order and user event."""

from __future__ import annotations

from dataclasses import dataclass

from provenue import wire
from provenue.engine import Engine
from provenue.wire import Event

__all__ = ["Directory", "Entry"]


@dataclass(frozen=True, slots=True)
class Entry:
    """An open account."""

    index: int
    account_id: int
    owner: bytes
    subaccount: int


class Directory:
    """Open accounts by index and by owner. The house is not in it."""

    def __init__(self, engine: Engine) -> None:
        self._of_index: dict[int, Entry] = {}
        self._of_owner: dict[bytes, dict[int, Entry]] = {}
        used = engine.tables["accounts"][: engine.globals("accounts_used")]
        names = ("open", "owner", "generation", "subaccount")
        columns = [used[name].tolist() for name in names]
        for index, row in enumerate(zip(*columns, strict=True)):
            is_open, owner, generation, subaccount = row
            if index and is_open:
                self._put(Entry(index, generation << 32 | index, bytes(owner), subaccount))

    def opened(self, event: Event, message: bytes) -> None:
        """ACCOUNT_OPENED (chapter 3.3) by a DEPOSIT; the index may have been another's before."""
        deposit = wire.decode(message)
        assert isinstance(deposit, wire.Deposit)
        former = self._of_index.get(event.account)
        if former is not None:
            del self._of_owner[former.owner][former.subaccount]
        account_id = event.extra << 32 | event.account
        self._put(Entry(event.account, account_id, deposit.owner, deposit.subaccount))

    def _put(self, entry: Entry) -> None:
        self._of_index[entry.index] = entry
        self._of_owner.setdefault(entry.owner, {})[entry.subaccount] = entry

    def at(self, index: int) -> Entry | None:
        """The account with an index."""
        return self._of_index.get(index)

    def by_id(self, account_id: int) -> Entry | None:
        """The account with an id; None when the index has another generation now."""
        entry = self._of_index.get(account_id & 0xFFFF_FFFF)
        return entry if entry is not None and entry.account_id == account_id else None

    def of_owner(self, owner: bytes) -> list[Entry]:
        """The accounts of an address, by subaccount."""
        return [entry for _, entry in sorted(self._of_owner.get(owner, {}).items())]

    def account_id(self, index: int) -> int:
        """The id of an index (the house's, too)."""
        entry = self._of_index.get(index)
        return entry.account_id if entry is not None else 1 << 32 | index
