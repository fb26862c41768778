"""The pace of batches: a deployment's pipeline carries what the operator closes."""

from __future__ import annotations

import pytest

from provenue._generated.constants import PIPELINE_MAX
from provenue.sequencer.pace import paced
from provenue.settlement.anchor import AnchorSettings
from provenue.settlement.deploy_config import DEV_DELAYS, ConfigError, Delays
from provenue.sim.stack import LocalVenue


def _settings(delays: Delays) -> AnchorSettings:
    return AnchorSettings(delays.challenge_window_s, delays.inbox_delay_s, delays.stamp_lag_ms)


HOUR = _settings(Delays())


@pytest.mark.parametrize("window_s", [1, 4, 3_600, 7 * 86_400])
def test_automatic_age_leaves_room_in_the_pipeline(window_s: int) -> None:
    limits = paced(0, AnchorSettings(window_s, 10 * 86_400, 0))
    assert limits.batch_age_ms_max >= 4_000
    for age_ms in (limits.batch_age_ms_max, limits.inbox_age_ms):
        assert window_s * 1_000 // age_ms <= PIPELINE_MAX * 3 // 4


def test_the_default_deployment_closes_a_batch_in_75_seconds() -> None:
    limits = paced(0, HOUR)
    assert (limits.batch_age_ms_max, limits.inbox_age_ms) == (75_000, 75_000)
    assert limits.inbox_silence_ms_max == 3 * 3_600_000
    assert paced(200_000, HOUR).inbox_age_ms == 100_000


def test_a_pace_that_the_pipeline_does_not_carry_is_refused_unless_asked_for() -> None:
    with pytest.raises(ConfigError, match="expected at least 75000, was 74999: 48 batches"):
        paced(74_999, HOUR)
    assert paced(75_000, HOUR).batch_age_ms_max == 75_000
    limits = paced(2_000, HOUR, unpaced=True)
    assert (limits.batch_age_ms_max, limits.inbox_age_ms) == (2_000, 1_000)


def test_an_age_out_of_any_use_is_refused() -> None:
    for age_ms in (1, 49, -1):
        with pytest.raises(ConfigError, match="at least 50"):
            paced(age_ms, HOUR, unpaced=True)
    with pytest.raises(ConfigError, match="at most 10800000, half of the inbox delay"):
        paced(10_800_001, HOUR)


def test_the_local_stack_is_within_the_pace() -> None:
    assert paced(LocalVenue()._batch_age_ms, _settings(DEV_DELAYS)).batch_age_ms_max == 2_000
