"""What brings egressc onto nodes: the program for nodes, and units for systemd."""
