"""A promise, and whether a run kept it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Bar"]


@dataclass(frozen=True)
class Bar:
    """The figure is to be at most, or at least, the bound; judged only where it is what the promise is made for."""

    promise: str
    figure: float
    bound: float
    at_most: bool
    judged: bool

    @property
    def drawn(self) -> tuple[str, str, str, str]:
        """Promise, figure, bound and verdict, as a table has them."""
        return (
            self.promise, f"{self.figure:,.2f}", f"{'≤' if self.at_most else '≥'} {self.bound:,g}", self.verdict,
        )  # fmt: skip

    @property
    def verdict(self) -> str:
        """Whether it was kept."""
        if not self.judged:
            return "not judged here"
        return "met" if (self.figure <= self.bound if self.at_most else self.figure >= self.bound) else "missed"
