"""One node under measurement: packets go in at one end, and what comes out at the other is counted and looked at."""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Address
from socket import socket

from applier.netns import entered
from bench.mix import POD_RANGE, Flow, node_address, outside_address
from bench.packets import Clock, Meter, Sender, establish, frame, measure_round_trips, packet_socket
from bench.topology import (
    OUTSIDE_MAC,
    PODS_MAC,
    SOURCE_MAC,
    WORKLOAD_MAC,
    Arrivals,
    Chain,
    dropping,
    flush_connections,
    node_mac,
)

_FIRST_PORT = 1024
_IPV4 = 0x0800
_LOSS = 0.001  # part of all packets that may be lost while another program has the core
_PAUSE = 0.0002  # seconds between packets of which the latency is measured


class WrongPacketError(Exception):
    """A node did not do with packets what its rules should make it do; the message says what."""


class Side(Enum):
    """Which node of a chain is measured."""

    SOURCE = "source"
    GATEWAY = "gateway"


@dataclass(frozen=True, slots=True)
class End:
    """A device in a namespace."""

    namespace: str
    device: str


class Line:
    """A node under measurement, between a sender in front of it and a meter behind it."""

    def __init__(self, chain: Chain, side: Side, flows: Sequence[Flow], *, keeps: bool) -> None:
        """Makes the packets.

        Args:
            chain: Where the node is.
            side: Which node it is.
            flows: Of the packets.
            keeps: Whether a source node keeps the workloads' addresses for its gateway nodes; else it masquerades them.
        """
        self._side, self._flows, self._keeps = side, flows, keeps
        if side is Side.SOURCE:
            self._node = chain.source
            self._near, self._entry = End(chain.ends, chain.workloads), End(chain.source, "pods")
            self._exit = End(chain.gateway, "eth0")
            hardware = PODS_MAC + WORKLOAD_MAC
        else:
            self._node = chain.gateway
            self._near, self._entry = End(chain.source, "eth0"), End(chain.gateway, "eth0")
            self._exit = End(chain.ends, chain.outside)
            hardware = node_mac(1) + SOURCE_MAC
        self._frames = [
            frame(hardware, flow.source, flow.destination, _FIRST_PORT + number) for number, flow in enumerate(flows)
        ]
        with entered(self._near.namespace):
            self.sender = Sender(self._near.device, self._frames)
        self._sent = 0  # to be forwarded
        self._entered, self._left = (_meter(end) for end in (self._entry, self._exit))

    def close(self) -> None:
        """Closes all that stays open between measurements."""
        for opened in (self.sender, self._entered, self._left):
            opened.close()

    def establish(self) -> None:
        """Sends a packet of each flow and an answer to it, and looks at what arrived.

        Raises:
            WrongPacketError: A packet has another source address or went to another node than it should.
            LostPacketError: A packet did not arrive.
        """
        with _opened(self._near) as near, _opened(self._exit) as far:
            for flow, packet in zip(self._flows, establish(near, far, self._frames), strict=True):
                self._examine(flow, packet)

    def round_trips(self, count: int) -> list[float]:
        """Returns the microseconds of as many packets and their answers, each of another flow, one at a time."""
        with _opened(self._near) as near, _opened(self._exit) as far:
            return measure_round_trips(near, far, self._frames[:count], _PAUSE)

    def generate(self, seconds: float, clock: Clock) -> float:
        """Returns the microseconds that a packet costs that is dropped in front of the node."""
        with dropping(self._entry.namespace, self._entry.device, "0.0.0.0/0"):
            return self._cost(self._entered, seconds, clock, new=False)

    def forward(self, seconds: float, clock: Clock, *, new: bool) -> float:
        """Returns the microseconds that a packet costs until it has arrived behind the node, sending it included.

        Args:
            seconds: To measure.
            clock: By which.
            new: Whether each packet opens a connection; those are forgotten afterwards, with all others.
        """
        before = self.sender.sent
        cost = self._cost(self._left, seconds, clock, new=new)
        self._sent += self.sender.sent - before
        if new:
            flush_connections(self._node)
        return cost

    def _cost(self, meter: Meter, seconds: float, clock: Clock, *, new: bool) -> float:
        before = meter.packets()
        took = self.sender.measure(seconds, clock, new=new)
        return took / (meter.packets() - before) * 1e6

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Drops what arrives behind the node, for as long as the body lasts, and then says if it was as it should be.

        Raises:
            WrongPacketError: Packets arrived with a wrong source address, or were lost.
        """
        if self._side is Side.GATEWAY:
            sources = str(outside_address(0))
        else:
            sources = str(POD_RANGE if self._keeps else node_address(0))
        before = self._sent
        with dropping(self._exit.namespace, self._exit.device, sources) as arrivals:
            yield
        self._compare(arrivals, self._sent - before, sources)

    def _compare(self, arrivals: Arrivals, sent: int, sources: str) -> None:
        if arrivals.wrong or arrivals.right < sent * (1 - _LOSS):
            raise WrongPacketError(
                f"{self._side.value} node: of {sent} packets, {arrivals.right} arrived from {sources} and "
                f"{arrivals.wrong} from other addresses"
            )

    def _examine(self, flow: Flow, packet: bytes) -> None:
        if self._side is Side.GATEWAY:
            right = OUTSIDE_MAC, outside_address(0)
        elif self._keeps:
            right = node_mac(1 + (flow.gateway_node or 0)), flow.source
        else:
            right = node_mac(1), node_address(0)
        hop, source = packet[:6], IPv4Address(packet[26:30])
        if (hop, source) != right:
            raise WrongPacketError(
                f"{self._side.value} node: the packet from {flow.source} to {flow.destination} arrived from {source} "
                f"at {hop.hex(':')} instead of from {right[1]} at {right[0].hex(':')}"
            )


def _meter(end: End) -> Meter:
    with entered(end.namespace):
        return Meter(end.device)


@contextmanager
def _opened(end: End) -> Iterator[socket]:
    with entered(end.namespace):
        opened = packet_socket(end.device, _IPV4)
    with closing(opened):
        yield opened
