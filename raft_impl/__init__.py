"""A Raft register service: the system under test. Knows nothing of `checkers` and `harness`."""
