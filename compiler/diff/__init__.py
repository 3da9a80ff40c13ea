"""Diff: what a change of inputs or bundles does, first to people's traffic, then to each node's files.

For people: `traffic` tells what becomes of whose packets, `gateways` who is master and why. For nodes: `change` has the
values; `meaning` reads one node's files as facts, `compare` tells two such readings apart, `nodes` does so for all nodes
of two bundles, `groups` puts nodes with like changes together. Decides nothing and touches nothing.
"""
