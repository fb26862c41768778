"""A deployment on a local chain, with batches made by hand: what the settlement tests share."""

import dataclasses
from collections.abc import Sequence

from tests.contracts import naive

from provenue import wire
from provenue.settlement.anchor import AnchorClient
from provenue.settlement.contract import Contract
from provenue.settlement.deploy import Deployment, deploy_all
from provenue.settlement.deploy_config import Delays, DeployConfig, dev_config
from provenue.settlement.inbox import InboxClient
from provenue.settlement.local_chain import LocalChain
from provenue.settlement.tx import Account, Sender
from provenue.settlement.vault import VaultClient, WithdrawalProof

ETHER = 10**18
DELAYS = Delays(
    challenge_window_s=600,
    inbox_delay_s=3_600,
    forced_delay_s=7_200,
    admin_delay_s=10_000,
    stamp_ahead_ms=60_000,
    stamp_lag_ms=3_600_000,
    bond_wei=2 * ETHER,
    forced_bond_wei=ETHER,
)
SIGNERS = ["0x" + f"{n:02x}" * 20 for n in (1, 2, 3)]


def config() -> DeployConfig:
    """The development configuration with delays to travel through."""
    return dev_config(SIGNERS, delays=DELAYS)


@dataclasses.dataclass
class Venue:
    """Clients, actors and the withdrawals so far."""

    chain: LocalChain
    deployment: Deployment
    operator: Sender
    withdrawals: list[tuple[int, bytes, int]] = dataclasses.field(default_factory=list)
    images: dict[int, tuple[int, bytes]] = dataclasses.field(default_factory=dict)

    @classmethod
    def deploy(cls, chain: LocalChain) -> "Venue":
        owner = Account(chain.accounts[0][1])
        deployment = deploy_all(chain.rpc, owner, config(), operator=owner.address)
        return cls(chain, deployment, Sender(chain.rpc, owner))

    def sender(self, number: int) -> Sender:
        """One of the funded accounts; 0 is owner and operator."""
        return Sender(self.chain.rpc, Account(self.chain.accounts[number][1]))

    @property
    def vault(self) -> VaultClient:
        return VaultClient(self.deployment, self.chain.rpc)

    @property
    def inbox(self) -> InboxClient:
        return InboxClient(self.deployment, self.chain.rpc)

    def anchor(self, number: int = 0) -> AnchorClient:
        return AnchorClient(self.deployment, self.chain.rpc, self.sender(number))

    def now_ms(self) -> int:
        """The time of the chain."""
        return self.chain.rpc.head().timestamp * 1_000

    @property
    def game(self) -> Contract:
        """The dispute game."""
        return self.deployment.contract("DisputeGame", self.chain.rpc)

    def deposit(self, number: int, units: int, asset: int = 0) -> int:
        """Mint, approve and deposit for an actor; the index of the item."""
        sender = self.sender(number)
        token = self.vault.token(asset)
        token.transact(sender, "mint", sender.address, units)
        return self.vault.deposit(sender, asset=asset, amount_units=units, owner=sender.address)

    # -- an image by hand ------------------------------------------------------------------------

    def issue(self, recipient: str, units: int, asset: int = 0) -> int:
        """A withdrawal in the next image; its id."""
        self.withdrawals.append((asset, bytes.fromhex(recipient[2:]), units))
        return len(self.withdrawals) - 1

    def _leaves(self, count: int) -> list[bytes]:
        return [
            naive.keccak(naive.word(n) + naive.word(a) + naive.word(r) + naive.word(u))
            for n, (a, r, u) in enumerate(self.withdrawals[:count])
        ]

    def image(self, batch: int, salt: int = 0) -> bytes:
        """The first bytes of the image after a batch: withdrawal root and something else."""
        count = len(self.withdrawals)
        root = naive.tree_root(self._leaves(count), 32) if count else bytes(32)
        data = root + naive.word(1 + batch + 1_000 * salt)
        self.images[batch] = (count, data)
        return data

    def claim(self, batch: int, messages: int, salt: int = 0) -> wire.ClaimTree:
        """A claim that ends with that image."""
        roots = [naive.keccak(bytes([batch % 256, i % 256])) for i in range(messages - 1)]
        return wire.ClaimTree([*roots, naive.root(self.image(batch, salt), 29)])

    def proof(self, number: int, batch: int) -> WithdrawalProof:
        """The proof of a withdrawal under a batch's image."""
        count, data = self.images[batch]
        asset, recipient, units = self.withdrawals[number]
        return WithdrawalProof(
            id=number,
            asset=asset,
            recipient=recipient,
            amount_units=units,
            batch=batch,
            withdrawal_root=data[:32],
            withdrawal_siblings=naive.proof(self._leaves(count), number, 32),
            image_siblings=naive.proof([data[:32], data[32:]], 0, 29),
        )

    # -- batches ---------------------------------------------------------------------------------

    def post(
        self, messages: Sequence[bytes] = (b"\x12",), *, forced: bool = False, number: int = 0
    ) -> int:
        """Post everything in the inbox (at most 64 items) and some messages; the batch."""
        anchor = self.anchor(number)
        batch, first = anchor.batch_count(), anchor.inbox_consumed()
        items = [item.message for item in self.inbox.items(first)][:64]
        stamp = self.now_ms()
        header = wire.Header(
            batch=batch, stamp_min_ms=stamp, stamp_max_ms=stamp, forced=int(forced)
        )
        claim = self.claim(batch, len(items) + len(messages))
        anchor.post(header, items, naive.posted(messages), anchor.start_root(batch), claim)
        return batch

    def finalize(self) -> int:
        """Let the window pass; the number of final batches."""
        self.chain.increase_time(DELAYS.challenge_window_s)
        return self.anchor(3).finalize()
