"""What tools/generate.py is made of: reading the protocol tables, and one writer per language."""
