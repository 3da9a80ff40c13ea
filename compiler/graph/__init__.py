"""Graph: who leaves by which gateway, node and address, drawn so that a person can read it at any size of a cluster."""
