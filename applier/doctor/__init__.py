"""`egressc doctor`: whether a node can do the job. Reads, asks and tries, and changes nothing.

`gather` reads the node to `facts`; the checks are pure, from facts to lines with a level and a remedy.
"""
