"""The watcher's figures for Prometheus, served on this machine only."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

__all__ = ["Metrics"]

_HOST = "127.0.0.1"


class Metrics:
    """One registry a process; every name begins with `provenue_watcher_`."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()

        def gauge(name: str, text: str) -> Gauge:
            return Gauge(f"provenue_watcher_{name}", text, registry=self.registry)

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"provenue_watcher_{name}", text, labels, registry=self.registry)

        self.l1_block = gauge("l1_block", "L1 block that was looked at last")
        self.l1_time_s = gauge("l1_time_seconds", "Time of that block")
        self.batches_posted = gauge("batches_posted", "Batches on the chain")
        self.batches_archived = gauge("batches_archived", "Batches in the archive")
        self.batches_executed = gauge("batches_executed", "Batches executed here")
        self.batches_final = gauge("batches_final", "Batches that are final")
        self.wrong_claims = gauge("wrong_claims", "Live claims that are not right")
        self.wrong_final = gauge("wrong_final_batches", "Batches that are final with a wrong root")
        self.matches = gauge("open_matches", "Matches of disputed batches that are not over")
        self.missing_data = gauge("missing_data", "1 while the node withholds what the chain has")
        self.node_away = gauge("node_away", "1 while the node does not answer")
        self.balance_wei = gauge("balance_wei", "Ether of the watcher's account")
        self.execution_seconds = Histogram(
            "provenue_watcher_execution_seconds",
            "Executing one batch",
            buckets=(0.01, 0.03, 0.1, 0.3, 1.0, 3.0),
            registry=self.registry,
        )
        self.moves = counter("moves", "Transactions that were mined, by their moves", "move")
        self.gas = counter("gas", "Gas of those transactions")
        self.refused = counter("refused_moves", "Moves that others had made, or not payable")
        self.notes = counter("notes", "Moves that could be expected and were not made", "kind")
        self.dispute_transactions = gauge(
            "dispute_transactions_max", "Transactions of the dearest dispute so far"
        )
        self.dispute_gas = gauge("dispute_gas_max", "Gas of the dearest dispute so far")

    def serve(self, port: int) -> str:
        """Serve on a port, 0 for a free one; the URL."""
        server, _ = start_http_server(port, addr=_HOST, registry=self.registry)
        return f"http://{_HOST}:{server.server_port}/metrics"
