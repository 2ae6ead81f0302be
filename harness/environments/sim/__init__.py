"""The simulator: a deterministic environment in one process, on virtual time."""
