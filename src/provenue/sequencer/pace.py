"""How fast batches may be closed, so that they fit through the pipeline of the Anchor, and other
bounds that a deployment sets to its operator.

At most 64 batches may be unfinalised, and each stays so for the challenge window: whoever closes
more than 64 in a window builds a backlog that only waits. Batches that are full cannot be helped
(that is what the chain carries), but age and waiting inbox items must not close more than this, or
deposits of dust would use up the pipeline for everybody.
"""

from __future__ import annotations

from provenue.sequencer.sequencer import Limits
from provenue.settlement.anchor import AnchorSettings
from provenue.settlement.deploy_checks import BATCHES_PER_WINDOW, ConfigError

__all__ = ["BATCH_AGE_MS_MIN", "paced"]

# What a venue with a short window takes by itself: deposits wait this long at most.
_BATCH_AGE_MS_DEFAULT = 4_000
BATCH_AGE_MS_MIN = 50


def paced(batch_age_ms: int, settings: AnchorSettings, *, unpaced: bool = False) -> Limits:
    """Limits for a deployment; ConfigError when its pipeline would not carry the batches.

    `batch_age_ms` 0 is automatic. With `unpaced` any age is taken: the pipeline may fill up, and
    then the backlog waits for finality.
    """
    pace_ms = -(-settings.challenge_window_s * 1_000 // BATCHES_PER_WINDOW)
    if batch_age_ms == 0:
        batch_age_ms = max(pace_ms, _BATCH_AGE_MS_DEFAULT)
    if batch_age_ms < BATCH_AGE_MS_MIN:
        raise ConfigError(
            f"batch-age-ms: expected 0 (automatic) or at least {BATCH_AGE_MS_MIN}, "
            f"was {batch_age_ms}"
        )
    if batch_age_ms < pace_ms and not unpaced:
        raise ConfigError(
            f"batch-age-ms: expected at least {pace_ms}, was {batch_age_ms}: {BATCHES_PER_WINDOW} "
            f"batches in a challenge window of {settings.challenge_window_s} s are what the "
            "pipeline carries with room to spare (--unpaced to close batches faster all the same)"
        )
    # An item that comes right after a batch has opened must not be due before that batch closes.
    age_ms_max = settings.inbox_delay_s * 1_000 // 2
    if batch_age_ms > age_ms_max:
        raise ConfigError(
            f"batch-age-ms: expected at most {age_ms_max}, half of the inbox delay of "
            f"{settings.inbox_delay_s} s, was {batch_age_ms}"
        )
    return Limits(
        batch_age_ms_max=batch_age_ms,
        batch_age_ms_min=0 if unpaced else pace_ms,
        # The other half is for items that a node shows late (`safe` is minutes behind the head).
        inbox_silence_ms_max=age_ms_max,
    )
