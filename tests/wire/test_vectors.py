"""The committed vectors: up to date, readable, and right by the word of other libraries."""

import json
from typing import Any

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data

from provenue import wire
from tools.write_vectors import FOLDER, main, message_from_json


def load(name: str) -> Any:
    return json.loads((FOLDER / name).read_text(encoding="utf-8"))


def raw(text: str) -> bytes:
    return bytes.fromhex(text[2:])


def test_vectors_are_what_the_code_writes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check"]) == 0, capsys.readouterr().out


def test_message_vectors_cover_every_kind_and_read_back() -> None:
    content = load("messages.json")
    for case in content["messages"]:
        message = message_from_json(case["kind"], case["fields"])
        assert wire.encode(message) == raw(case["bytes"])
        assert wire.decode(raw(case["bytes"])) == message
    assert {case["kind"] for case in content["messages"]} == {kind.name for kind in wire.Kind}
    codes = {case["code"] for case in content["rejects"]}
    assert codes == {"EMPTY_MESSAGE", "UNKNOWN_KIND", "BAD_LENGTH"}


def test_signed_vectors_recover_with_eth_account() -> None:
    for case in load("eip712.json")["signed"]:
        message: Any = message_from_json(case["kind"], case["fields"])
        domain = wire.Domain(int(case["chain_id"]), raw(case["anchor"]))
        signable = encode_typed_data(full_message=wire.typed_data(message, domain))
        assert signable.header == raw(case["domain_separator"])
        assert signable.body == raw(case["struct_hash"])
        signer = Account.recover_message(signable, signature=message.signature)
        assert signer.lower() == case["address"]
