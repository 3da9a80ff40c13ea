"""What a made cluster has: teams with a namespace each, their apps of zipfian size, their gateways.

In: a size and a seed. Out: frozen values. Teams, gateways and apps do not change when only the number of workloads
does: the same apps have more or fewer replicas then.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Final, Literal

Kind = Literal["Deployment", "StatefulSet"]
Mode = Literal["primary", "virtual4", "virtual6"]

_ZIPF: Final = 0.8  # exponent: at L the largest app has some 5,000 pods, the smallest two or three
_MOST_PODS: Final = 110  # what a kubelet takes by default
_MOST_NODES: Final = 5_000  # the address plan of `objects` has room for more, the names have not
_WORDS: Final = (
    *("api", "billing", "cart", "catalog", "crm", "delivery", "export", "fraud", "gate", "import", "invoice", "ledger"),
    *("mail", "notify", "orders", "payout", "pricing", "reports", "search", "session", "stock", "sync", "tax", "web"),
)
_TIERS: Final = ("web", "backend", "worker")
_SAFE: Final = "bcdfghjklmnpqrstvwxz2456789"  # of which Kubernetes makes its random names


@dataclass(frozen=True, slots=True)
class Size:
    """How much there is of everything; each gateway is served by three of the gateway nodes, which are nodes too."""

    nodes: int
    workloads: int
    policies: int
    gateways: int
    gateway_nodes: int


@dataclass(frozen=True, slots=True)
class Gateway:
    """An EgressGateway of a team, on a group of gateway nodes that serves others too."""

    number: int
    team: int
    group: int
    mode: Mode
    named_interface: bool

    @property
    def name(self) -> str:
        """Name of the object."""
        return f"gateway-{self.number:04}"


@dataclass(frozen=True, slots=True)
class Team:
    """A namespace; `wide` when a policy is for the whole of it, `zone` when one is for all namespaces of that label."""

    number: int
    wide: bool
    zone: int | None

    @property
    def name(self) -> str:
        """Name of the Namespace."""
        return f"team-{self.number:03}"

    @property
    def labels(self) -> Mapping[str, str]:
        """Labels of the Namespace."""
        labels = {"kubernetes.io/metadata.name": self.name, "team": self.name}
        return labels if self.zone is None else {**labels, "zone": f"zone-{self.zone}"}


@dataclass(frozen=True, slots=True)
class App:
    """A Deployment or StatefulSet with its pods.

    Attributes:
        name: Value of the label `app`; two teams may have apps of one name unless `unique`.
        replicas: How many pods.
        template: Hash of its pod template.
        account: Service account.
        dual: Whether its pods have IPv6 beside IPv4.
    """

    name: str
    unique: bool
    team: int
    kind: Kind
    tier: str
    replicas: int
    template: str
    account: str
    dual: bool


@dataclass(frozen=True, slots=True)
class Inventory:
    """All of it; apps from the largest to the smallest."""

    size: Size
    teams: tuple[Team, ...]
    gateways: tuple[Gateway, ...]
    apps: tuple[App, ...]

    @property
    def groups(self) -> int:
        """Groups of gateway nodes."""
        return group_count(self.size)


def draw_inventory(size: Size, seed: int) -> Inventory:
    """Draws teams, apps and gateways.

    Raises:
        ValueError: Numbers that do not go together.
    """
    if size.nodes > _MOST_NODES:
        raise ValueError(f"{size.nodes} nodes are more than {_MOST_NODES}")
    if size.workloads > size.nodes * (_MOST_PODS - 1):  # one is the agent
        raise ValueError(f"{size.workloads} workloads are more than {_MOST_PODS - 1} on each of {size.nodes} nodes")
    if size.workloads < _app_count(size):
        raise ValueError(f"{size.policies} policies need at least {_app_count(size)} workloads, not {size.workloads}")
    choose = random.Random(f"inventory {seed}")  # noqa: S311  # a sample, not a secret
    teams = _teams(size, choose)
    return Inventory(size, teams, _gateways(size, len(teams), choose), _apps(size, len(teams), choose))


def group_count(size: Size) -> int:
    """Returns how many groups of three the gateway nodes make; those left over join the first ones."""
    return max(size.gateway_nodes // 3, 1)


def wide_policies(size: Size) -> tuple[int, int]:
    """Returns how many policies are for a whole team, and how many for all namespaces with a label."""
    few = min(size.policies // 10, 1)
    return max(size.policies // 100, few), max(size.policies // 1_000, few)


def _teams(size: Size, choose: random.Random) -> tuple[Team, ...]:
    count = max(size.gateways * 2 // 3, 1)
    wide, zones = wide_policies(size)
    of_each = max(count // 100, 1)
    order = choose.sample(range(count), count)
    roles: dict[int, int | None] = dict.fromkeys(order[:wide])
    roles.update((number, index // of_each) for index, number in enumerate(order[wide : wide + zones * of_each]))
    return tuple(Team(n, n in roles and roles[n] is None, roles.get(n)) for n in range(count))


def _gateways(size: Size, teams: int, choose: random.Random) -> tuple[Gateway, ...]:
    virtual = size.gateways // 2
    ipv6 = -(-virtual // 10)
    modes: list[Mode] = ["primary"] * (size.gateways - virtual)
    modes += ["virtual4"] * (virtual - ipv6)
    modes += ["virtual6"] * ipv6
    choose.shuffle(modes)
    groups = group_count(size)
    return tuple(
        Gateway(number, number % teams, number % groups, mode, number % 5 != 0) for number, mode in enumerate(modes)
    )


def _apps(size: Size, teams: int, choose: random.Random) -> tuple[App, ...]:
    count = _app_count(size)
    order = choose.sample(range(count), count)
    apps = []
    for (rank, replicas), number in zip(enumerate(_zipf(count, size.workloads)), order, strict=True):
        team, index = number % teams, number // teams
        word = _WORDS[index % len(_WORDS)] + (f"-{index // len(_WORDS)}" if index >= len(_WORDS) else "")
        unique = choose.random() < 1 / 3
        name = f"{word}-{team:03}" if unique else word
        # Databases and queues: not the largest apps.
        stateful = rank >= count // 10 and choose.random() < 1 / 5
        apps.append(
            App(
                name=name,
                unique=unique,
                team=team,
                kind="StatefulSet" if stateful else "Deployment",
                tier=choose.choice(_TIERS),
                replicas=replicas,
                template="".join(choose.choices(_SAFE, k=9)),
                account="default" if choose.random() < 2 / 5 else name,
                dual=choose.random() < 19 / 20,
            )
        )
    return tuple(apps)


def _app_count(size: Size) -> int:
    """Returns three apps for two policies, since some two in five of the apps have any."""
    return max(size.policies * 3 // 2, 1)


def _zipf(count: int, total: int) -> list[int]:
    """Shares a total out by rank, at least one to each."""
    weights = list(accumulate((rank + 1) ** -_ZIPF for rank in range(count)))
    spare = total - count
    ends = [round(spare * weight / weights[-1]) for weight in weights]
    return [1 + end - start for start, end in zip([0, *ends], ends, strict=False)]


def suffix(index: int) -> str:
    """Returns the random-looking end of a pod's name, another for each index."""
    number = index * 7_654_321 % len(_SAFE) ** 5
    letters = []
    for _ in range(5):
        number, digit = divmod(number, len(_SAFE))
        letters.append(_SAFE[digit])
    return "".join(letters)
