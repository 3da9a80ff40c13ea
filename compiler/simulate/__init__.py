"""Simulate: what becomes of a cluster's traffic when nodes are lost or cordoned.

`present` indexes the cluster as it is, `whatif` answers for one scenario from that index, `sweep` for the loss of each
node; `story` finds the words, which `text` and `markdown` print, and `output` the JSON. `command` is the edge.
"""
