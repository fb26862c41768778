"""Rules for the Vyper sources that the compilers do not check."""

import re
from pathlib import Path

CONTRACTS = Path(__file__).resolve().parents[2] / "contracts"


def test_no_conditional_return_beside_another_return() -> None:
    """venom 0.4.3 loses the value of the other return: `if b == 0: return a if c else 7` and then
    `return a` gives 0 (internal function, called twice). Assign, then return.
    """
    found = []
    for path in sorted(CONTRACTS.rglob("*.vy")):
        for function in re.split(r"^(?=@|def )", path.read_text(), flags=re.MULTILINE):
            returns = re.findall(r"^ +return\b.*", function, flags=re.MULTILINE)
            if len(returns) > 1 and any(re.search(r"\bif\b.*\belse\b", line) for line in returns):
                found.append(f"{path.name}: {function.splitlines()[0]}")
    assert found == []
