"""What a test is unless it is told otherwise, whoever defines it: the command line, a plan, a test case.

Lives here: the values that more than one of them has. It imports nothing, since every pytest session loads it.
"""

NODES = 5
WORKLOAD = "register"
NEMESIS = "partition,clock,kill,pause"
INTERVAL_S = 5.0
RATE = 200.0
CONCURRENCY = "2n"
TIME_LIMIT_S = 30.0
CASE_TIME_LIMIT_S = 10.0
"""Of a test case: a suite has many, and each run in it is to be short."""
