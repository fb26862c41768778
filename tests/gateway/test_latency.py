"""How long an acknowledgement takes. The real figures come from bench/ack_latency.py on an idle
machine; here only that nothing waits for a timer or a turn that it need not wait for.
"""

from pathlib import Path

import pytest
from bench.ack_latency import run


@pytest.mark.serial
def test_an_order_is_acknowledged_in_few_disk_syncs(tmp_path: Path) -> None:
    figures = run(150, tmp_path)
    assert figures["acks"] == 300
    # A turn of the sequencer's timer alone would be 50 ms.
    bound_us = 20_000 + 5 * figures["disk_sync_us"]
    assert figures["ack_p50_us"] < bound_us, figures
