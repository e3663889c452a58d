"""Whether a listener's liveness URL answers, by its last results."""

import msgspec

RECENT = 10
DEAD_AFTER = 3


class Liveness(msgspec.Struct, frozen=True):
    """What probing has found so far; `recent` is a `1` or `0` for each of the last results, newest last."""

    success_count: int = 0
    failure_count: int = 0
    recent: str = ""
    checked_at: int | None = None

    @property
    def state(self) -> str:
        """`unknown`, `stable`, `unstable` or `dead`."""
        if not self.recent:
            return "unknown"
        if self.recent.endswith("0" * DEAD_AFTER):
            return "dead"
        return "unstable" if "0" in self.recent else "stable"

    @property
    def holds_deliveries(self) -> bool:
        """Whether deliveries wait. A listener whose liveness URL never answered is still tried."""
        return self.state == "dead" and self.success_count > 0

    def after(self, ok: bool, at: int) -> "Liveness":
        """With one more result, found at `at`, ms."""
        return Liveness(
            success_count=self.success_count + ok,
            failure_count=self.failure_count + (not ok),
            recent=(self.recent + ("1" if ok else "0"))[-RECENT:],
            checked_at=at,
        )
