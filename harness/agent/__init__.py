"""The agent: what the harness runs beside each node, on the node's own machine.

Lives here: what can only be done there (starting and killing the node's process, filtering and holding up its packets,
looking at both). It speaks lines of JSON over its standard input and output. Must not live here: an import of anything
but the standard library and this package, which is copied as it stands into containers and to machines reached by SSH;
nor any idea of a test.

What the agent starts outlives it: each process has a file with its number in the node's directory, so that an agent
that was cut off is replaced by another one, which finds everything as it was left.
"""
