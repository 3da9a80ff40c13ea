"""Graph: who leaves by which gateway, node and address, as a drawing that stays readable whatever the cluster's size."""
