"""Latencies: the nearest-rank percentiles of times kept in nanoseconds."""

from collections.abc import Iterable

import msgspec


class Latency(msgspec.Struct, frozen=True):
    """Percentiles in milliseconds; all zero where nothing was measured."""

    p50: float = 0.0
    p90: float = 0.0
    p99: float = 0.0
    max: float = 0.0


def summary(times: Iterable[int]) -> Latency:
    """The percentiles of times in nanoseconds."""
    ordered = sorted(times)
    if not ordered:
        return Latency()
    return Latency(_rank(ordered, 0.5), _rank(ordered, 0.9), _rank(ordered, 0.99), ordered[-1] / 1e6)


def _rank(ordered: list[int], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] / 1e6
