"""Diff: what a change of inputs or bundles does, first to people's traffic, then to each node's files.

For people: `traffic` tells what becomes of whose packets, `gateways` who is master and why; `sections` puts it in
words. For nodes: `change` has the values; `meaning` reads one node's files as facts, `compare` tells two such readings
apart, `nodes` does so for all nodes of two bundles, `groups` puts nodes with like changes together, and `nodeforms`
says it. `difference` is both, `forms` and `output` what is printed of it.
"""
