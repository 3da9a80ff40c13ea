"""The two ways an apply can end badly."""


class KernelError(Exception):
    """The kernel did not do what it was asked, or cannot be read; the message says what and why."""


class RefusedError(Exception):
    """Nothing was touched, because something of somebody else's is in the way or the node lacks what the plan names."""
