"""Work in stages, each skipped when its product is there.

Contract: a stage's product is a file or folder that appears whole, last, when the stage is done; whoever makes it
writes under another name and renames. So an interrupted recipe goes on at the stage it was in, and that stage from
where its own cache or checkpoint stands.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from rich.console import Console

__all__ = ["Stage", "run_stages"]


@dataclass(frozen=True)
class Stage:
    """A step: what it is called, what it makes, and how."""

    name: str
    product: Path
    make: Callable[[], None]


def run_stages(stages: Sequence[Stage], console: Console) -> None:
    """Run the stages in order, leaving out those whose product is there.

    Raises:
        FileNotFoundError: a stage ended without its product.
    """
    for number, stage in enumerate(stages, start=1):
        title = f"[bold]{number}/{len(stages)} {stage.name}[/bold]"
        if stage.product.exists():
            console.print(f"{title}: {stage.product} is there")
            continue
        console.print(f"{title} → {stage.product}")
        began = monotonic()
        stage.make()
        if not stage.product.exists():
            raise FileNotFoundError(f"the stage {stage.name!r} ended without making {stage.product}")
        console.print(f"{title}: done in {_duration(monotonic() - began)}")


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"
