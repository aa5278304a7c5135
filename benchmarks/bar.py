"""A performance target, and whether a run met it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Bar:
    """A figure that must be at most, or at least, the bound; judged only under the conditions of the target."""

    promise: str
    figure: float
    bound: float
    at_most: bool
    judged: bool

    @property
    def cells(self) -> tuple[str, str, str, str]:
        """The table row: promise, figure, bound and verdict."""
        return (
            self.promise, f"{self.figure:,.2f}", f"{'≤' if self.at_most else '≥'} {self.bound:,g}", self.verdict,
        )  # fmt: skip

    @property
    def verdict(self) -> str:
        """Whether the target was met."""
        if not self.judged:
            return "not judged here"
        return "met" if (self.figure <= self.bound if self.at_most else self.figure >= self.bound) else "missed"
