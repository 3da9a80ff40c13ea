"""Who else has a virtual IP that is about to be bound here: what to ask, and what the answers mean. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address

from applier.change import AddAddress, Change
from applier.probe import Answer, Target
from bundle.directory import NodePart

_SILENT = Answer()


@dataclass(frozen=True, slots=True)
class Questions:
    """What to ask before an apply.

    Attributes:
        virtual_ips: Addresses that it would bind, with their interfaces.
        peers: By virtual IP, the addresses of the other nodes that may still hold it.
    """

    virtual_ips: tuple[Target, ...]
    peers: Mapping[Target, tuple[Target, ...]]

    @property
    def neighbours(self) -> tuple[Target, ...]:
        """Returns all peers."""
        return tuple(peer for peers in self.peers.values() for peer in peers)


def questions(part: NodePart, changes: Iterable[Change]) -> Questions:
    """Returns what to ask before these changes."""
    planned = {address.address: address.peers for address in part.addresses.addresses if address.announce}
    peers: dict[Target, tuple[Target, ...]] = {}
    for change in changes:
        if isinstance(change, AddAddress) and change.address.address in planned:
            device = change.address.device
            target = (ip_address(change.address.address.partition("/")[0]), device)
            peers[target] = tuple((ip_address(peer), device) for peer in planned[change.address.address])
    return Questions(tuple(peers), peers)


def strangers(asked: Questions, answers: Mapping[Target, Answer]) -> Iterator[str]:
    """Yields why not to go on: somebody answers who is none of the gateway's nodes."""
    if any(answer.fault == "not-allowed" for answer in answers.values()):
        yield "virtual IPs cannot be asked for and announced without CAP_NET_RAW; run it with that capability"
    for target in asked.virtual_ips:
        if macs := sorted(answers.get(target, _SILENT).macs - _macs(asked.peers[target], answers)):
            yield (
                f"{', '.join(macs)} on {target[1]} answers for the virtual IP {target[0]}, and is none of its gateway's"
                " nodes in this bundle; take the address from that machine (a node that was taken out of the gateway "
                "lets go of it when it applies this bundle), or give the gateway another one"
            )


def holders(asked: Questions, answers: Mapping[Target, Answer]) -> Iterator[str]:
    """Yields what to know: another node of the gateway still has the address."""
    for target in asked.virtual_ips:
        if macs := sorted(answers.get(target, _SILENT).macs & _macs(asked.peers[target], answers)):
            yield (
                f"another node of its gateway still has the virtual IP {target[0]}: {', '.join(macs)} on {target[1]}; "
                "it lets go of it when it applies this bundle"
            )


def _macs(peers: Iterable[Target], answers: Mapping[Target, Answer]) -> frozenset[str]:
    return frozenset(mac for peer in peers for mac in answers.get(peer, _SILENT).macs)
