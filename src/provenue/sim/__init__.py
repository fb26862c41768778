"""Markets, traders, whole local venues; deterministic from a seed where nothing is real."""
