"""What a stream does more of, and less of, for a while: weights by the names of its methods."""

__all__ = ["CHANCES", "PHASES"]

_TRADE = {
    "place": 40, "take": 18, "deep": 0.7, "cancel": 7, "cancel_all": 0.7,
    "cancel_label": 1.5, "amend": 9, "replace": 5, "withdraw": 3, "set_key": 2,
    "prices": 4, "price_round": 2, "tick": 1, "deposit": 4, "forced_withdraw": 3,
    "forced_cancel": 1, "late_listing": 0.3, "set_signers": 0.3,
    "kill": 1.2, "own": 2, "crowd": 1.2, "expire": 1.2, "slide": 0.7, "loser_leaves": 0.4,
    "deep_again": 1, "both_reduce": 0.6, "expired_bids": 0.6,
    "brim": 2.6, "drain": 0.5, "dead_feed": 0.4,
    "forced_close": 0.5, "forced_revoke": 0.5, "leave": 0.7, "desert": 1.6, "abandon": 0.25,
}  # fmt: skip
PHASES: dict[str, dict[str, float]] = {
    "trade": _TRADE,
    # the order table fills up; the level table fills up
    "stack": {"place": 90, "prices": 5, "take": 1, "cancel": 2},
    "ladder": {"place": 90, "prices": 5, "take": 1, "cancel": 2, "amend": 3, "replace": 4},
    "exodus": {"withdraw": 50, "cancel_all": 20, "deposit": 25, "prices": 3, "take": 2},
    "crash": _TRADE | {"price_round": 15, "take": 30, "place": 25, "abandon": 0.5},
    "arrivals": _TRADE | {"deposit": 60, "withdraw": 25},
    "storm": {
        "place": 75, "take": 14, "deep": 2, "prices": 3, "price_round": 1, "cancel": 2,
        "amend": 6, "replace": 4, "expire": 0.5, "kill": 1,
    },
}  # fmt: skip
CHANCES = (34, 8, 8, 8, 14, 8, 20)  # of the phases, in order
