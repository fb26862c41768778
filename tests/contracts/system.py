"""The contracts deployed together under titanoboa, and the moves that tests make."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import boa
from tests.contracts import naive

CONTRACTS = Path(__file__).resolve().parents[2] / "contracts"
HERE = Path(__file__).parent
ETHER = 10**18
ZERO = "0x" + "00" * 20
CONFIG = {
    "bond_wei": 10 * ETHER,
    "forced_bond_wei": ETHER,
    "challenge_window_s": 3_600,
    "inbox_delay_s": 600,
    "forced_delay_s": 1_800,
    "admin_delay_s": 15_000,
    "stamp_ahead_ms": 5_000,
    "stamp_lag_ms": 60_000,
    "claim_reserve_wei": ETHER // 10,
}
# Of the bond of an operator who keeps the pipeline full.
OPEN_CLAIMS_MAX = 72
FORCED_FEE_WEI = 10**15
GENESIS, LIST_ASSET, LIST_INSTRUMENT, SET_SIGNERS = 0x80, 0x81, 0x82, 0x83
PRICES, TICK, CONTINUE = b"\x10", b"\x11", b"\x12"
LIVE, VOID, FINAL = 1, 2, 3

boa.interpret.set_search_paths([str(CONTRACTS)])


def _short_repr(contract: Any) -> str:
    return f"<{contract.compiler_data.contract_path} at {contract.address}>"


# titanoboa 0.2.8 prints all storage after each revert; it fails on nested maps when a slot's path
# was traced for another contract of the same process, and it is slow.
boa.contracts.vyper.vyper_contract.VyperContract.__repr__ = _short_repr


def compile_source(path: Path, codegen: str) -> Any:
    """A deployer of a source by the first or the second compiler."""
    venom = {"legacy": False, "venom": True}[codegen]
    return boa.load_partial(
        str(path), compiler_args={"evm_version": "prague", "experimental_codegen": venom}
    )


@dataclasses.dataclass(frozen=True)
class Sources:
    """Deployers of the whole system by one compiler."""

    codegen: str
    token: Any
    inbox: Any
    anchor: Any
    vault: Any

    @classmethod
    def compile(cls, codegen: str) -> "Sources":
        names = ("TestToken", "Inbox", "Anchor", "Vault")
        return cls(codegen, *(compile_source(CONTRACTS / f"{n}.vy", codegen) for n in names))


def now() -> int:
    """The time of the chain in seconds."""
    return int(boa.env.timestamp)


def wait(seconds: int) -> None:
    """Let time pass on the chain."""
    boa.env.time_travel(seconds=seconds)


def list_asset_message(token: str, asset: int = 0, unit_decimals: int = 6, chain: int = 0) -> bytes:
    """A LIST_ASSET message, written out by hand."""
    head = bytes([LIST_ASSET]) + asset.to_bytes(2, "big") + bytes([chain, unit_decimals])
    rest = (0xFFFF).to_bytes(2, "big") + (10**6).to_bytes(4, "big") + (1).to_bytes(8, "big")
    return head + rest + bytes.fromhex(token[2:])


def deposit_message(asset: int, units: int, owner: str, subaccount: int) -> bytes:
    """A DEPOSIT message, written out by hand."""
    return (
        b"\x90"
        + asset.to_bytes(2, "big")
        + units.to_bytes(8, "big")
        + bytes.fromhex(owner[2:])
        + bytes([subaccount])
    )


@dataclasses.dataclass(frozen=True)
class Withdrawal:
    """A withdrawal as the program issues it."""

    id: int
    asset: int
    recipient: str
    amount_units: int

    @property
    def leaf(self) -> bytes:
        parts = (self.id, self.asset, self.recipient, self.amount_units)
        return naive.keccak(b"".join(naive.word(part) for part in parts))

    @property
    def claim(self) -> tuple[int, int, str, int]:
        return (self.id, self.asset, self.recipient, self.amount_units)


class Image:
    """An image by hand: the withdrawal root, and some bytes behind that change with each batch."""

    def __init__(self) -> None:
        self.withdrawals: list[Withdrawal] = []
        self.salt = 0

    def issue(self, asset: int, recipient: str, amount_units: int) -> Withdrawal:
        issued = Withdrawal(len(self.withdrawals), asset, recipient, amount_units)
        self.withdrawals.append(issued)
        return issued

    def withdrawal_root(self, count: int) -> bytes:
        leaves = [w.leaf for w in self.withdrawals[:count]]
        return naive.tree_root(leaves, 32) if leaves else bytes(32)

    def state(self) -> "ImageState":
        """The image now, with a salt so that no two batches end alike."""
        self.salt += 1
        count = len(self.withdrawals)
        return ImageState(self, count, self.withdrawal_root(count) + naive.word(self.salt))


@dataclasses.dataclass(frozen=True)
class ImageState:
    """One state of the image: what a batch ends with."""

    image: Image
    count: int
    data: bytes

    @property
    def root(self) -> bytes:
        return naive.root(self.data, 29)

    def proof(self, withdrawal: Withdrawal) -> tuple[bytes, list[bytes], list[bytes]]:
        """Withdrawal root, siblings in its tree, siblings of the image's first leaf."""
        leaves = [w.leaf for w in self.image.withdrawals[: self.count]]
        siblings = naive.proof(leaves, withdrawal.id, 32)
        image_leaves = [self.data[i : i + 32] for i in range(0, len(self.data), 32)]
        return self.data[:32], siblings, naive.proof(image_leaves, 0, 29)


class System:
    """Deployed contracts, bound and funded, with the actors' addresses."""

    def __init__(self, sources: Sources, **settings: int) -> None:
        self.sources = sources
        self.settings = CONFIG | settings
        actors = ("owner", "operator", "game", "alice", "bob", "carol", "mallory")
        for name in actors:
            setattr(self, name, boa.env.generate_address(name))
            boa.env.set_balance(getattr(self, name), 10_000 * ETHER)
        self.image = Image()
        self.items: list[bytes] = []
        self.usdc = sources.token.deploy("USD Coin", "USDC", 6)
        self.wbtc = sources.token.deploy("Wrapped BTC", "WBTC", 8)
        self.dai = sources.token.deploy("Dai", "DAI", 18)
        delay = self.settings["admin_delay_s"]
        self.inbox = sources.inbox.deploy(self.owner, delay, FORCED_FEE_WEI)
        config = {"operator": self.operator, "inbox": self.inbox.address} | self.settings
        config["game"] = ZERO
        self.anchor = sources.anchor.deploy(self.owner, tuple(config.values()))
        self.vault = sources.vault.deploy(self.owner, self.inbox.address, self.anchor.address)
        self.inbox.bind(self.vault.address, self.anchor.address, sender=self.owner)
        self.read_items()
        registered = [(0, self.usdc, 6), (1, self.wbtc, 8), (2, self.dai, 8)]
        for asset, token, decimals in registered:
            self.vault.register_asset(asset, token.address, decimals, 2**56, 10, sender=self.owner)
        reserves_wei = OPEN_CLAIMS_MAX * self.settings["claim_reserve_wei"]
        for name, amount in (("operator", 10), ("mallory", 10), ("carol", 1)):
            bond_wei = amount * ETHER + reserves_wei
            self.anchor.deposit_bond(sender=getattr(self, name), value=bond_wei)

    owner: str
    operator: str
    game: str
    alice: str
    bob: str
    carol: str
    mallory: str

    # -- inbox ---------------------------------------------------------------------------------

    def read_items(self) -> None:
        """Take new items over from the events of the last transaction."""
        for event in self.inbox.get_logs():
            if type(event).__name__ == "Enqueued":
                assert event.index == len(self.items)
                self.items.append(bytes(event.message))

    def deposit(self, who: str, asset: int, amount_token: int, subaccount: int = 0) -> int:
        """Mint, approve, deposit; the index of the item."""
        token = (self.usdc, self.wbtc, self.dai)[asset]
        token.mint(who, amount_token, sender=who)
        token.approve(self.vault.address, amount_token, sender=who)
        item = self.vault.deposit(asset, amount_token, who, subaccount, sender=who)
        units = amount_token // 10 ** (10 * (asset == 2))
        self.items.append(deposit_message(asset, units, who, subaccount))
        assert item == len(self.items) - 1
        return item

    def forced_cancel(self, who: str) -> int:
        item = self.inbox.forced_cancel(0, sender=who, value=FORCED_FEE_WEI)
        self.items.append(b"\x92" + bytes.fromhex(who[2:]) + b"\0")
        return item

    # -- batches -------------------------------------------------------------------------------

    def claim(self, end_root: bytes, *, batch: int | None = None) -> dict[str, Any]:
        """A claim about the next batch (or another) whose every message ends alike."""
        roots = [end_root]
        start = self.anchor.start_root(self.anchor.batch_count() if batch is None else batch)
        return {
            "start_root": start,
            "claim_root": naive.tree_root(roots, 12, end_root),
            "end_root": end_root,
            "last_siblings": naive.proof(roots, 4095, 12, end_root),
        }

    def batch(
        self,
        messages: Sequence[bytes] = (CONTINUE,),
        inbox_count: int | None = None,
        *,
        forced: bool = False,
        end_root: bytes | None = None,
    ) -> dict[str, Any]:
        """Arguments of a valid post: all inbox items there are (at most 64) unless told."""
        first = self.anchor.inbox_consumed()
        count = min(64, len(self.items) - first) if inbox_count is None else inbox_count
        stamp = now() * 1000
        slots = [naive.slot_root(item) for item in self.items[first : first + count]]
        root = self.image.state().root if end_root is None else end_root
        header = {
            "batch": self.anchor.batch_count(), "stamp_min_ms": stamp,
            "stamp_max_ms": stamp, "forced": forced,
        }  # fmt: skip
        return {
            "header": header, "slot_roots": slots,
            "claim": self.claim(root), "data": naive.posted(messages),
        }  # fmt: skip

    def send(self, arguments: dict[str, Any], sender: str | None = None) -> None:
        """Post the arguments of `batch`, possibly spoiled."""
        self.anchor.post(
            tuple(arguments["header"].values()),
            arguments["slot_roots"],
            tuple(arguments["claim"].values()),
            arguments["data"],
            sender=self.operator if sender is None else sender,
        )

    def post(self, *args: Any, sender: str | None = None, **kwargs: Any) -> int:
        """Post a valid batch; its number."""
        number = self.anchor.batch_count()
        self.send(self.batch(*args, **kwargs), sender)
        return int(number)

    def claim_again(self, batch: int, end_root: bytes, sender: str) -> None:
        claim = tuple(self.claim(end_root, batch=batch).values())
        self.anchor.claim_again(batch, claim, sender=sender)

    def join(self, batch: int, end_root: bytes, sender: str) -> int:
        """A rival claim under its own bond; its index."""
        forced = self.anchor.batch_of(batch).forced
        bond_wei = self.settings["forced_bond_wei" if forced else "bond_wei"]
        claim = tuple(self.claim(end_root, batch=batch).values())
        self.anchor.join(batch, claim, sender=sender, value=bond_wei)
        return int(self.anchor.claim_count(batch)) - 1

    def join_raw(self, batch: int, claim: dict[str, Any], value_wei: int) -> None:
        """A rival claim as it is given."""
        self.anchor.join(batch, tuple(claim.values()), sender=self.alice, value=value_wei)

    def void(self, batch: int, loser: int = 0, winner: int | None = None) -> None:
        """As the game: a claim has lost, to another or to nobody."""
        winner_plus_one = 0 if winner is None else winner + 1
        self.anchor.void_claim(batch, loser, winner_plus_one, sender=self.game)

    def install_game(self) -> None:
        """Make the stand-in account the game, by the slow way."""
        self.anchor.propose_game(self.game, sender=self.owner)
        wait(self.settings["admin_delay_s"])
        self.anchor.set_game(sender=self.alice)

    def finalize_all(self) -> int:
        """Let the window pass, finalize everything; the number of final batches."""
        wait(self.settings["challenge_window_s"])
        return int(self.anchor.finalize(64, sender=self.alice))

    def withdraw(self, withdrawal: Withdrawal, state: ImageState, batch: int) -> None:
        """Pay a withdrawal by its proof."""
        root, siblings, image_siblings = state.proof(withdrawal)
        self.vault.withdraw(
            withdrawal.claim, batch, root, siblings, image_siblings, sender=self.bob
        )

    def post_final(self) -> tuple[int, ImageState]:
        """Post the image as it is and make it final."""
        state = self.image.state()
        number = self.post(end_root=state.root)
        self.finalize_all()
        return number, state
