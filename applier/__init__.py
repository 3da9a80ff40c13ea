"""The thin part that runs as root on a node: makes the kernel agree with one node's part of a bundle.

Nothing is decided here. The kernel is read, compared with the bundle, changed where it differs and read again; what
is ours is told from the kernel alone (`bundle.names`). What a node keeps in files (`store`, `record`) is the way back
and saves work, and is never the truth about the kernel.
"""
