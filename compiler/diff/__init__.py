"""Diff: what a change of inputs or bundles does, first to people's traffic, then to each node's files.

In: two sides, each an account and a bundle. Out: values that say what differs, and their forms as text, Markdown and
JSON. Decides nothing and touches nothing.
"""
