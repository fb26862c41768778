"""The watcher: re-executes every batch from L1 data and disputes what is wrong (chapter 11).

It needs a node's URL and the address of an Anchor, and nothing of the operator's.
"""
