"""The API: JSON-RPC 2.0 over WebSocket and HTTP in Deribit's naming."""
