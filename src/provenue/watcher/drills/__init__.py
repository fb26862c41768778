"""Drills: an operator or a stranger lies about a batch, and everybody plays it out on a real chain.

Nothing is simulated but the passing of time: a local chain, the contracts as they are deployed, the
guest, the watcher's own player against a liar who defends its lie as well as a lie can be
defended. `provenue drill --lie KIND`.
"""

from provenue.watcher.drills.play import DrillError, Report, run_drill
from provenue.watcher.drills.scenarios import SCENARIOS

__all__ = ["SCENARIOS", "DrillError", "Report", "run_drill"]
