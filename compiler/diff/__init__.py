"""What a change does: two bundles, or a bundle and the kernel, told apart by what they mean and not by their text.

Of the nodes: `change` has the values; `meaning` reads one node's files as facts, `compare` tells two such readings
apart, `nodes` does so for all nodes of two bundles, `groups` puts nodes with like changes together, `nodeforms` writes
it down, and `live` asks the kernel of one node.
"""
