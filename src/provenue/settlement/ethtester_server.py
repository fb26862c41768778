"""`python -m provenue.settlement.ethtester_server`: the pip-only chain behind JSON-RPC, one
process.

Prints its URL on one line when ready. For development and tests; the accounts' keys are public.
"""

from __future__ import annotations

import argparse
import http.server
import json
import logging
import signal
import sys
import threading
import time
from typing import Any

from provenue.settlement.dev_accounts import DEV_BALANCE_ETHER, DEV_CHAIN_ID, dev_accounts
from provenue.settlement.ethtester_chain import TesterChain
from provenue.settlement.ethtester_methods import (
    INTERNAL_ERROR,
    INVALID_REQUEST,
    PARSE_ERROR,
    MethodError,
    Methods,
    client_version,
)

__all__ = ["main"]

DEFAULT_GAS_LIMIT = 60_000_000
_MAX_BODY_BYTES = 16 << 20
_MAX_BATCH = 1_000
_log = logging.getLogger("provenue.ethtester")


class RpcService:
    """Turns request bytes into answer bytes, one request at a time."""

    def __init__(self, methods: Methods, lock: threading.Lock) -> None:
        self._methods = methods
        self._lock = lock

    def answer(self, body: bytes) -> bytes:
        """The JSON-RPC answer to a body; empty when nothing but notifications came."""
        try:
            request = json.loads(body)
        except (ValueError, RecursionError):
            return _encode(_error(None, PARSE_ERROR, "parse error: the body is not JSON"))
        if not isinstance(request, list):
            answer = self._one(request)
            return b"" if answer is None else _encode(answer)
        if not 1 <= len(request) <= _MAX_BATCH:
            return _encode(
                _error(None, INVALID_REQUEST, f"batch: expected 1 to {_MAX_BATCH} calls")
            )
        answers = [a for a in map(self._one, request) if a is not None]
        return _encode(answers) if answers else b""

    def _one(self, request: Any) -> dict[str, Any] | None:
        if not isinstance(request, dict) or not isinstance(request.get("method"), str):
            return _error(
                None, INVALID_REQUEST, "invalid request: expected an object with a method"
            )
        call_id = request.get("id")
        try:
            with self._lock:
                result = self._methods.run(request["method"], request.get("params"))
            answer = {"jsonrpc": "2.0", "id": call_id, "result": result}
        except MethodError as error:
            answer = _error(call_id, error.code, str(error), error.data)
        except Exception as error:  # a bug of ours must not end the chain under its users
            _log.exception("%s failed", request["method"])
            answer = _error(call_id, INTERNAL_ERROR, f"internal error: {type(error).__name__}")
        return answer if "id" in request else None


def _error(call_id: Any, code: int, message: str, data: str | None = None) -> dict[str, Any]:
    error: dict[str, Any] = {"code": code, "message": message}
    if data is not None:
        error["data"] = data
    return {"jsonrpc": "2.0", "id": call_id, "error": error}


def _encode(answer: Any) -> bytes:
    return json.dumps(answer).encode()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # One write per answer and no Nagle: otherwise delayed ACKs cost 40 ms per call.
    wbufsize = -1
    disable_nagle_algorithm = True
    timeout = 300
    service: RpcService

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal():
            self._refuse(411, "Content-Length: expected the number of bytes in the body")
        elif int(length) > _MAX_BODY_BYTES:
            self._refuse(413, f"body: at most {_MAX_BODY_BYTES} bytes")
        else:
            self._reply(200, self.service.answer(self.rfile.read(int(length))))

    def do_GET(self) -> None:
        self._refuse(405, "this is a JSON-RPC endpoint: POST a request")

    def _refuse(self, status: int, message: str) -> None:
        self.close_connection = True
        self._reply(status, _encode(_error(None, INVALID_REQUEST, message)))

    def _reply(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    # The name `format` is the base class's.
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)


def _mine_on_schedule(chain: TesterChain, lock: threading.Lock, period_s: float) -> None:
    """A block every `period_s`, at fixed times so that it does not drift."""
    due = time.monotonic() + period_s
    while True:
        time.sleep(max(0.0, due - time.monotonic()))
        with lock:
            chain.mine()
        due = max(due + period_s, time.monotonic())


def main(argv: list[str] | None = None) -> int:
    """Serve until SIGTERM or Ctrl-C."""
    parser = argparse.ArgumentParser(prog="provenue.settlement.ethtester_server")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--chain-id", type=int, default=DEV_CHAIN_ID)
    parser.add_argument("--accounts", type=int, default=40)
    parser.add_argument("--gas-limit", type=int, default=DEFAULT_GAS_LIMIT)
    parser.add_argument("--slots-in-an-epoch", type=int, default=32, help="depth of `safe`")
    parser.add_argument(
        "--block-time", type=float, help="seconds; default: a block per transaction"
    )
    parser.add_argument(
        "--mixed-mining", action="store_true", help="both: per transaction and timed"
    )
    options = parser.parse_args(argv)
    if options.block_time is not None and not 0.05 <= options.block_time <= 3_600:
        parser.error(f"--block-time: expected 0.05 to 3600 seconds, got {options.block_time}")
    if options.mixed_mining and options.block_time is None:
        parser.error("--mixed-mining: needs --block-time")
    accounts = [address for address, _ in dev_accounts(options.accounts)]
    chain = TesterChain(
        chain_id=options.chain_id,
        gas_limit=options.gas_limit,
        balances=dict.fromkeys(accounts, DEV_BALANCE_ETHER * 10**18),
        slots_in_epoch=options.slots_in_an_epoch,
    )
    chain.automine = options.block_time is None or options.mixed_mining
    lock = threading.Lock()
    _Handler.service = RpcService(Methods(chain, accounts, client_version()), lock)
    try:
        server = _Server(("127.0.0.1", options.port), _Handler)
    except OSError as error:
        sys.stderr.write(f"--port {options.port}: {error.strerror}\n")
        return 1
    if options.block_time is not None:
        arguments = (chain, lock, options.block_time)
        threading.Thread(target=_mine_on_schedule, args=arguments, daemon=True).start()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    sys.stdout.write(f"http://127.0.0.1:{server.server_address[1]}\n")
    sys.stdout.flush()
    try:
        server.serve_forever(poll_interval=0.5)
    except KeyboardInterrupt:
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
