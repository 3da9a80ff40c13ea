"""Members: which nodes the `nodeSelector` of a gateway takes, suitable or not (semantics.md §4)."""

from collections.abc import Iterable, Mapping

from compiler.model import Gateway, Node


def takes(gateway: Gateway, node: Node) -> bool:
    """Whether a gateway's selector takes a node: it has all the labels, with these values."""
    return gateway.node_selector.items() <= node.labels.items()


class Members:
    """Finds the member nodes of a gateway by an index of their labels, without a look at the other nodes."""

    def __init__(self, nodes: Mapping[str, Node]) -> None:
        self._nodes = nodes
        self._names = sorted(nodes)
        self._labelled: dict[tuple[str, str], list[str]] = {}
        for name in self._names:
            for label in nodes[name].labels.items():
                self._labelled.setdefault(label, []).append(name)

    def of(self, gateway: Gateway) -> Iterable[str]:
        """Returns the names of the nodes that the gateway's selector takes, in order; an empty one takes all."""
        having = (self._labelled.get(label, []) for label in gateway.node_selector.items())
        rarest = min(having, key=len, default=self._names)
        return (name for name in rarest if takes(gateway, self._nodes[name]))
