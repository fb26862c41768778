"""The chain side: JSON-RPC client, transactions, local chains, contract artifacts.

Every node is spoken to through a JSON-RPC URL. Import what you need from the submodules: `rpc`
(client and errors), `tx` (accounts, senders, contracts), `local_chain` (chains for development),
`artifacts` (compiler).
"""

__all__: list[str] = []
