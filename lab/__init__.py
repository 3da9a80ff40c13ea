"""A cluster on one machine: nodes and workloads as network namespaces, and an outside that says what it saw.

Built from the same `Cluster` value that the compiler plans from, so any input can be tried with real packets. Nothing
here decides what a policy means, and nothing is ever put into the machine's own network namespace.
"""
