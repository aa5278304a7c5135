"""The command ``python -m trainer fit``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from trainer.errors import TrainingSetUnusable
from trainer.fitting.settings import HeadSettings, LossKind, LossSettings
from trainer.labels.class_words import ClassWords
from trainer.labels.options import Labels, NearestKinds, Synonyms, Words
from trainer.one_sentence import one_sentence
from trainer.progress import progress_bar

__all__ = ["app"]

app = typer.Typer()
console = Console()


@app.command()
@one_sentence
def fit(
    features: Annotated[Path, typer.Option(help="Feature set (.npz) that `features` made.")],
    words: Words,
    run: Annotated[Path, typer.Option(help="The run's folder; an interrupted run goes on.")],
    labels: Labels = None,
    synonyms: Synonyms = None,
    loss: Annotated[LossKind, typer.Option(help="What to minimise.")] = "joint",
    hidden: Annotated[list[int] | None, typer.Option(min=1, help="Width of a hidden layer; may be repeated.")] = None,
    dropout: Annotated[float, typer.Option(min=0, max=0.99)] = 0.0,
    epochs: Annotated[int, typer.Option(min=1)] = 20,
    batch_size: Annotated[int, typer.Option(min=1)] = 256,
    learning_rate: Annotated[float, typer.Option(min=1e-9)] = 1e-3,
    nearest_kinds: NearestKinds = 2,
    foreign_words: Annotated[int, typer.Option(min=0, help="Words of no class in the joint loss.")] = 2_000,
    seed: int = 0,
) -> None:
    """Train the head that maps features into the space of the words."""
    from trainer.features.files import read_feature_set
    from trainer.fitting.head import fit_head, save_head
    from trainer.labels.class_words import Vocabulary, class_words_of_names, read_class_words, with_synonyms
    from trainer.labels.targets import label_space_of
    from trainer.runs import Run
    from trainer.words import read_word_space

    vocabulary = Vocabulary(read_word_space(words))
    data = read_feature_set(features)
    classes = class_words_of_names(data.names) if labels is None else read_class_words(labels)
    called = with_synonyms(_in_order(classes, data.names), synonyms)
    space = label_space_of(called, vocabulary, nearest_kinds, foreign_words, seed)
    settings = HeadSettings(
        hidden=tuple(hidden or ()),
        dimension=space.dimension,
        dropout=dropout,
        loss=LossSettings(loss),
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        seed=seed,
    )
    with progress_bar(console) as progress:
        task = progress.add_task("head", total=epochs, note="")

        def show(epoch: int, figures: Mapping[str, float]) -> None:
            note = "  ".join(f"{name} {value:.3f}" for name, value in figures.items())
            progress.update(task, completed=epoch, note=note)

        head = fit_head(Run(run, settings), data, space, settings, show)
    save_head(head, run / "head.keras")
    console.print(f"head in {run / 'head.keras'}")


def _in_order(classes: Sequence[ClassWords], names: Sequence[str]) -> tuple[ClassWords, ...]:
    by_name = {each.name: each for each in classes}
    missing = [name for name in names if name not in by_name]
    if missing:
        raise TrainingSetUnusable(f"The file of labels tells nothing of {', '.join(missing[:5])}. Add these classes.")
    return tuple(by_name[name] for name in names)
