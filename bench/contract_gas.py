"""Gas of whole transactions, as a local chain charges them: `python bench/contract_gas.py`.

Prints the table of docs/contracts.md. The chain is anvil where it can be had (`--kind` to choose);
both compilers are measured.
"""

import argparse
import datetime
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.contracts import step_cases  # noqa: E402
from tests.contracts.game_gas import Dispute  # noqa: E402

from provenue import wire  # noqa: E402
from provenue._generated.constants import BATCH_BYTES_MAX  # noqa: E402
from provenue._generated.messages import MESSAGES  # noqa: E402
from provenue.settlement.artifacts import compile_contract  # noqa: E402
from provenue.settlement.chain_types import Receipt, to_checksum  # noqa: E402
from provenue.settlement.contract import Contract, deploy  # noqa: E402
from provenue.settlement.local_chain import LocalChain, start_chain  # noqa: E402
from provenue.settlement.tx import Account, Sender  # noqa: E402

WINDOW_S = 600
ETHER = 10**18
GWEI = 10**9


class Bench:
    """One deployment, and the last receipt of each kind of transaction."""

    def __init__(self, chain: LocalChain, *, venom: bool) -> None:
        self.chain = chain
        self.sender = Sender(chain.rpc, Account(chain.accounts[0][1]))
        self.rows: dict[str, int] = {}
        self.venom = venom
        owner = self.sender.address
        self.token = self._deploy("TestToken", "USD Coin", "USDC", 6)
        self.inbox = self._deploy("Inbox", owner, 100_000, 0)
        settings = (owner, self.inbox.address, ETHER, ETHER, WINDOW_S, 3_600, 7_200, 100_000)
        nobody = "0x" + "00" * 20  # as game: nothing is disputed here
        self.anchor = self._deploy("Anchor", owner, (*settings, 60_000, 3_600_000, GWEI, nobody))
        self.vault = self._deploy("Vault", owner, self.inbox.address, self.anchor.address)
        self.send(self.inbox, "bind", self.vault.address, self.anchor.address)
        self.send(self.vault, "register_asset", 0, self.token.address, 6, 2**56, 1)
        self.anchor.transact(self.sender, "deposit_bond", value=2 * ETHER)
        self.send(self.token, "mint", owner, 10**12)
        self.send(self.token, "approve", self.vault.address, 10**12)

    def _deploy(self, name: str, *args: Any) -> Contract:
        artifact = compile_contract(name, experimental_codegen=self.venom)
        contract = deploy(self.sender, artifact, *args)
        self.rows[f"{name}: runtime bytes"] = len(self.chain.rpc.code(contract.address))
        return contract

    def send(
        self, contract: Contract, function: str, *args: Any, row: str | None = None
    ) -> Receipt:
        receipt = contract.transact(self.sender, function, *args)
        if row is not None:
            self.rows[row] = receipt.gas_used
        return receipt

    def post(self, row: str | None, messages: list[bytes], root: bytes) -> None:
        """Everything in the inbox (at most 64 items) and some messages."""
        first = int(self.anchor.call("inbox_consumed"))
        events = self.inbox.events("Enqueued")
        items = [bytes(event.args["message"]) for event in events][first : first + 64]
        stamp = self.chain.rpc.head().timestamp * 1_000
        claim = wire.ClaimTree([root])
        batch = self.anchor.call("batch_count")
        arguments = (
            (batch, stamp, stamp, False),
            [wire.slot_root(item) for item in items],
            (self.anchor.call("start_root", batch), claim.root, root, claim.final_proof),
            wire.encode_posted(messages),
        )
        # A given limit: the estimate would run the batch twice.
        receipt = self.anchor.transact(self.sender, "post", *arguments, gas=10_000_000)
        if row is not None:
            self.rows[row] = receipt.gas_used


def _orders(count: int, rng: random.Random) -> list[bytes]:
    """Orders as traders send them: small numbers, random signatures."""
    return [
        wire.encode(
            wire.Place(
                stamp_ms=1_770_000_000_000 + n, account=1 << 32 | rng.randrange(1, 1_000), key=0,
                nonce=1_770_000_000_000 + n, expires_at_ms=1_770_000_060_000 + n, instrument=0,
                side=rng.randrange(2), order_type=0, time_in_force=0, flags=0,
                self_trade=0, good_till_s=0,
                price_ticks=6_000_000 + rng.randrange(10_000), size_lots=rng.randrange(1, 10_000),
                client_id=n, signature=rng.randbytes(64) + b"\x1b",
            )
        )
        for n in range(count)
    ]  # fmt: skip


def _full(make: Callable[[int], list[bytes]], size: int) -> list[bytes]:
    """As many messages of a size as a batch takes."""
    return make((BATCH_BYTES_MAX - 8) // (size + 4))


def measure(chain: LocalChain, *, venom: bool) -> dict[str, int]:
    """All rows by one compiler."""
    rng = random.Random(1)
    bench = Bench(chain, venom=venom)
    owner = bench.sender.address
    roots = iter(wire.keccak256(bytes([n])) for n in range(250))
    bench.post(None, [b"\x12"], next(roots))
    bench.post("post, 1 message of 1 byte", [b"\x12"], next(roots))
    bench.post("post, 100 orders", _orders(100, rng), next(roots))
    size = MESSAGES[wire.Kind.PLACE].size
    orders = _full(lambda n: _orders(n, rng), size)
    bench.post(f"post, full: {len(orders)} orders", orders, next(roots))
    noise = _full(lambda n: [rng.randbytes(size) for _ in range(n)], size)
    bench.post("post, full: 120 kB random", noise, next(roots))
    bench.send(bench.vault, "deposit", 0, 1_000, owner, 0)
    bench.send(bench.vault, "deposit", 0, 1_000, owner, 0, row="deposit")
    bench.send(bench.inbox, "forced_withdraw", 0, 0, 5, owner, row="forced withdrawal")
    for _ in range(64):
        bench.send(bench.inbox, "forced_cancel", 0, row="forced cancel")
    bench.post("post, 64 inbox items", [], next(roots))
    _settle(bench)
    _steps(bench, rng)
    _disputes(bench)
    return bench.rows


def _disputes(bench: Bench) -> None:
    """A whole dispute, and one whose verdict fells a pipeline."""
    for descendants in (0, 63):
        dispute = Dispute(bench.chain, venom=bench.venom)
        dispute.play(descendants=descendants)
        bench.rows |= {f"game, {row}": gas for row, gas in dispute.gas.items()}
        moves = len(dispute.honest_gas)
        bench.rows[f"game, the honest side's {moves} moves"] = sum(dispute.honest_gas)
        size = dispute.code_bytes["DisputeGame"]
        bench.rows["DisputeGame: runtime bytes"] = size
        if not descendants:
            kept = dict(bench.rows)
    # The second dispute is there for its verdict alone.
    bench.rows |= kept


def _steps(bench: Bench, rng: random.Random) -> None:
    """One step of each kind: the longest witness, no byte of it favourably zero."""
    contract = bench._deploy("StepVerifier")
    for kind, (proof, after) in step_cases.dearest(rng).items():
        assert bytes(contract.call("step", proof)) == after
        bench.send(contract, "step", proof, row=f"step, {kind}")


def _settle(bench: Bench) -> None:
    """Finality and payments."""
    owner, other = bench.sender.address, bench.chain.accounts[1][0]
    claims = [(n, 0, owner, 100) for n in range(2)]
    tree = wire.WithdrawalTree()
    for n, asset, recipient, units in claims:
        raw = bytes.fromhex(recipient[2:])
        tree.append(wire.withdrawal_leaf(number=n, asset=asset, recipient=raw, amount_units=units))
    image = wire.merkle_root(tree.root, 29)
    bench.post(None, [], image)
    batch = int(bench.anchor.call("batch_count")) - 1
    bench.chain.increase_time(WINDOW_S)
    bench.send(bench.anchor, "finalize", 1, row="finalize, 1 batch")
    bench.send(bench.anchor, "finalize", 64, row=f"finalize, {batch} batches")
    siblings = wire.merkle_proof(tree.root, 0, 29)
    bench.send(bench.vault, "transfer_claim", claims[1], to_checksum(bytes.fromhex(other[2:])),
               row="transfer a claim")  # fmt: skip
    for n, row in ((0, None), (1, "withdraw")):
        bench.send(
            bench.vault, "withdraw", claims[n], batch, tree.root, tree.proof(n), siblings, row=row
        )


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--kind", choices=["auto", "anvil", "eth-tester"], default="auto")
    kind = parser.parse_args().kind
    tables = []
    for venom in (False, True):
        with start_chain(kind) as chain:
            tables.append(measure(chain, venom=venom))
            version = f"{chain.kind} {chain.version}"
    today = datetime.datetime.now(tz=datetime.UTC).date()
    print(f"{today}, {version}, vyper 0.4.3 -O gas, prague")
    print("| | legacy | venom |\n| --- | ---: | ---: |")
    for row, gas in tables[0].items():
        print(f"| {row} | {gas:,} | {tables[1][row]:,} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
