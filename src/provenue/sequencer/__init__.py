"""The operator's inside: journal, sequencing, recovery, batches, anchoring."""
