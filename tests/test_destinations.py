"""Ranges in words say what they should, and no address outside the cluster more or less."""

from hypothesis import given
from hypothesis import strategies as st

from compiler.destinations import Range, common, is_prefix, range_text, range_texts, without_cluster
from compiler.model import Family

LAST = (1 << 32) - 1


def apart(edges: list[int]) -> list[Range]:
    """Ranges that are sorted and apart, of any numbers."""
    numbers = sorted(set(edges))
    found = list(zip(numbers[::2], numbers[1::2], strict=False))
    return [(low, high) for low, high in found]


# Few bits move, so that ranges meet.
NUMBERS = st.lists(st.sampled_from([0, 1, 2, 3, 4, 7, 8, 15, 16, 255, 256, 1 << 31, LAST - 1, LAST]), max_size=14)
RANGES = st.builds(apart, NUMBERS)


def inside(number: int, ranges: list[Range] | tuple[Range, ...]) -> bool:
    return any(low <= number <= high for low, high in ranges)


@given(RANGES, RANGES)
def test_outside_the_cluster_the_plainer_ranges_are_the_same(ranges: list[Range], cluster: list[Range]) -> None:
    # What is told of lies outside the cluster.
    told = [item for item in ranges if not common([item], cluster)]

    plain = without_cluster(told, cluster, Family.IPV4)

    assert len(plain) <= len(told)
    for number in {n + d for pair in (*told, *cluster, *plain) for n in pair for d in (-1, 0, 1)}:
        if 0 <= number <= LAST and not inside(number, cluster):
            assert inside(number, plain) == inside(number, told)


@given(RANGES, RANGES)
def test_what_two_lists_have_in_common_is_in_both(these: list[Range], those: list[Range]) -> None:
    found = common(these, those)

    for number in {n + d for pair in (*these, *those) for n in pair for d in (-1, 0, 1)}:
        assert inside(number, found) == (inside(number, these) and inside(number, those))


def test_everything_but_the_cluster_reads_as_everything() -> None:
    ten = (10 << 24, (11 << 24) - 1)
    multicast = (224 << 24, LAST)
    told = [(0, ten[0] - 1), (ten[1] + 1, multicast[0] - 1)]

    assert range_texts(without_cluster(told, [ten, multicast], Family.IPV4), Family.IPV4) == ("0.0.0.0/0",)


def test_a_range_is_named_as_shortly_as_it_can_be() -> None:
    assert range_text(1, 1, Family.IPV4) == "0.0.0.1"
    assert range_text(0, 255, Family.IPV6) == "::/120"
    assert range_text(1, 2, Family.IPV4) == "0.0.0.1-0.0.0.2"
    assert is_prefix((2, 3))
    assert not is_prefix((1, 2))
