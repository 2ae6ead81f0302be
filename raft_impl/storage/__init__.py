"""Where a node keeps what it must not forget: a file protocol with two implementations, and the write-ahead log."""
