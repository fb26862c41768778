"""The constants that contracts need. Decimals, since Vyper takes hexadecimal for bytes."""

from collections.abc import Iterator

from tools.generator.model import Message, Protocol
from tools.generator.names import HEADER, comment

__all__ = ["constants_module"]


def _message(message: Message) -> Iterator[str]:
    yield ""
    yield from comment(f"{message.name}: {message.doc}", "#")
    yield f"KIND_{message.name}: constant(uint256) = {message.kind}"
    listed = message.entries
    word = f"{message.name}_BYTES" if listed is None else f"{message.name}_BYTES_WITHOUT_ENTRIES"
    yield f"{word}: constant(uint256) = {message.size}"
    if listed:
        yield f"{message.name}_ENTRY_BYTES: constant(uint256) = {listed.size}"
    if message.source == "inbox":
        for field in message.fields:
            at = f"{message.name}_AT_{field.name.upper()}"
            yield f"{at}: constant(uint256) = {field.offset}"


def constants_module(protocol: Protocol) -> str:
    """contracts/modules/constants.vy."""
    lines = ["# pragma version 0.4.3", f"# {HEADER}"]
    lines += comment("Numbers of the protocol that do not depend on a preset.", "#")
    for constant in protocol.constants:
        lines += ["", *comment(f"{constant.unit}: {constant.why}", "#")]
        lines.append(f"{constant.name}: constant(uint256) = {constant.value}")
    lines += ["", "# Kinds of messages, their sizes, and where the fields of inbox messages stand."]
    for message in protocol.messages:
        lines += _message(message)
    return "\n".join(lines) + "\n"
