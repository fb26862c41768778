"""Group commit around the sequencer: asyncio in, durable outcomes out.

Submissions queue up while the last group is being synced; each turn of the loop sequences all that
wait, commits the journal once (fdatasync in a thread of its own, the loop stays free), and only
then resolves the callers' futures and hands the outcomes to the subscribers, in order.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from provenue.sequencer.sequencer import InboxItem, Outcome, Sequencer, SequencerError

__all__ = ["SequencerService"]

# One turn sequences at most this many, so that a burst cannot hold the first one's answer back.
GROUP_MAX = 512
TURN_INTERVAL_S = 0.05
SMALL_GROUP = 2
SHORT_SYNC_S = 0.001
SYNC_MEAN_WEIGHT = 0.1

Subscriber = Callable[[list[Outcome]], None]


class SequencerService:
    """Runs a `Sequencer` on the event loop. `submit` resolves once the journal is durable."""

    def __init__(self, sequencer: Sequencer, *, tick_interval_ms: int, tick: bytes) -> None:
        self._sequencer = sequencer
        self._queue: deque[tuple[bytes, asyncio.Future[list[Outcome]]]] = deque()
        # Taken from the queue, not yet durable: whatever goes wrong, these callers must hear of it.
        self._turn: list[asyncio.Future[list[Outcome]]] = []
        self._turn_timer: asyncio.TimerHandle | None = None
        self._committing: asyncio.Future[None] | None = None
        # Running mean of how long a sync takes.
        self._sync_s = SHORT_SYNC_S
        self._inbox: list[InboxItem] = []
        self._inbox_seen_ms = sequencer.now_ms()
        self._wake = asyncio.Event()
        self._subscribers: list[Subscriber] = []
        self._commit_thread = ThreadPoolExecutor(1, thread_name_prefix="journal")
        self._task: asyncio.Task[None] | None = None
        self._failed: BaseException | None = None
        self._stopping = False
        self._tick = tick
        self._tick_interval_s = tick_interval_ms / 1000
        self._next_tick_s = 0.0

    @property
    def sequencer(self) -> Sequencer:
        """The sequencer (reading the engine between turns is safe on the loop's thread)."""
        return self._sequencer

    @property
    def failed(self) -> BaseException | None:
        """Why the service stopped, if it did."""
        return self._failed

    def subscribe(self, subscriber: Subscriber) -> None:
        """Call `subscriber` with each group of durable outcomes, in sequence order."""
        self._subscribers.append(subscriber)

    def start(self) -> None:
        """Start the loop task."""
        self._task = asyncio.create_task(self._run(), name="sequencer")

    async def stop(self) -> None:
        """Finish what is queued, close the open batch, commit, end the task."""
        self._stopping = True
        self._wake.set()
        if self._task is not None:
            await self._task
        self._commit_thread.shutdown()

    async def wait(self) -> None:
        """Until the service has ended; raises what stopped it."""
        if self._task is not None:
            await asyncio.shield(self._task)
        if self._failed is not None:
            raise self._failed

    async def submit(self, message: bytes) -> Outcome:
        """Sequence one message; returns when its outcome is durable."""
        return (await self.enqueue(message))[0]

    def enqueue(self, message: bytes) -> asyncio.Future[list[Outcome]]:
        """Queue one message now: the order of these calls is the order of sequencing.

        Resolves when durable: the message's outcome, then those of the CONTINUEs it left to do.
        A message that fits no batch is refused here: MessageTooLongError, for this caller only.
        """
        if self._failed is not None or self._stopping:
            raise SequencerError(f"the sequencer does not take messages: {self._failed}")
        if (silence_ms := self._inbox_silence_ms()) > 0:
            raise SequencerError(
                f"the inbox has not been read for {silence_ms // 1_000} s: a batch that leaves "
                "a due item behind is refused by the chain for ever, so nothing is taken"
            )
        self._sequencer.check_fits(message)
        future: asyncio.Future[list[Outcome]] = asyncio.get_running_loop().create_future()
        self._queue.append((message, future))
        self._wake.set()
        return future

    async def durable(self) -> None:
        """Return once what the engine holds now is durable, so that it may be shown to anyone."""
        committing = self._committing
        if committing is not None:
            await asyncio.shield(committing)

    def offer_inbox(self, items: list[InboxItem]) -> None:
        """The new items at a look at the L1 inbox (or none); they run when the next batch opens."""
        self._inbox_seen_ms = self._sequencer.now_ms()
        if items:
            self._inbox.extend(items)
            self._wake.set()

    def _inbox_silence_ms(self) -> int:
        """How long the inbox has not been read, once that is too long; else 0."""
        bound_ms = self._sequencer.limits.inbox_silence_ms_max
        silence_ms = self._sequencer.now_ms() - self._inbox_seen_ms
        return silence_ms if bound_ms and silence_ms > bound_ms else 0

    @property
    def next_inbox_index(self) -> int:
        """The inbox index that `offer_inbox` expects next."""
        return self._inbox[-1].index + 1 if self._inbox else self._sequencer.next_inbox_index

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        self._wake_regularly(loop)
        try:
            while not (self._stopping and not self._queue and not self._inbox):
                if not self._queue and not self._inbox and not self._stopping:
                    await self._wake.wait()
                self._wake.clear()
                await self._commit_and_publish(loop, self._sequence_group(loop.time()))
            self._sequencer.close_batch()
            await self._commit_and_publish(loop, [])
            self._sequencer.journal.close()
        except Exception as problem:  # a bug or a dead disk: stop, tell everyone, publish nothing
            self._failed = problem
            for future in [*self._turn, *(future for _, future in self._queue)]:
                if not future.done():
                    future.set_exception(SequencerError(str(problem)))
            self._queue.clear()
        finally:
            if self._turn_timer is not None:
                self._turn_timer.cancel()

    def _wake_regularly(self, loop: asyncio.AbstractEventLoop) -> None:
        # Batches age and ticks come due without any message.
        self._wake.set()
        self._turn_timer = loop.call_later(TURN_INTERVAL_S, self._wake_regularly, loop)

    def _sequence_group(self, now_s: float) -> list[list[Outcome]]:
        """Sequence what waits; the outcomes of each future in `_turn`."""
        sequencer = self._sequencer
        if self._inbox:
            sequencer.offer_inbox(self._inbox)
            self._inbox = []
        sequencer.turn_batches()
        ticking = sequencer.next_sequence > 0 and not self._inbox_silence_ms()
        if now_s >= self._next_tick_s and ticking:
            self._next_tick_s = now_s + self._tick_interval_s
            sequencer.submit(self._tick)
        done = []
        for _ in range(min(len(self._queue), GROUP_MAX)):
            message, future = self._queue.popleft()
            self._turn.append(future)
            done.append(sequencer.submit_all(message))
        return done

    async def _commit_and_publish(
        self, loop: asyncio.AbstractEventLoop, done: list[list[Outcome]]
    ) -> None:
        outcomes = self._sequencer.drain()
        if self._sequencer.journal.has_uncommitted:  # a snapshot may have committed it all
            await self._make_durable(loop, len(done))
        if not outcomes:
            return
        turn, self._turn = self._turn, []
        for future, result in zip(turn, done, strict=True):
            if not future.done():
                future.set_result(result)
        for subscriber in self._subscribers:
            subscriber(outcomes)

    async def _make_durable(self, loop: asyncio.AbstractEventLoop, waiting: int) -> None:
        # A short sync costs less than handing it to another thread and back; a long one, or one
        # for many, must not keep the loop from taking and checking what comes meanwhile.
        if waiting <= SMALL_GROUP and self._sync_s < SHORT_SYNC_S:
            self._commit()
            return
        self._committing = loop.run_in_executor(self._commit_thread, self._commit)
        try:
            await self._committing
        finally:
            self._committing = None

    def _commit(self) -> None:
        started_s = time.perf_counter()
        self._sequencer.journal.commit()
        self._sync_s += (time.perf_counter() - started_s - self._sync_s) * SYNC_MEAN_WEIGHT
