"""Measurements: clusters of any size, made from a seed, and what the commands cost on them."""
