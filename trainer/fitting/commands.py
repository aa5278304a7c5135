"""The command `python -m trainer fit`.

Contract: the same as `trainer.cli`'s, which adds this command. Heavy imports wait until it needs them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from trainer.console import epoch_note, progress_bar, report_errors, with_tensorflow
from trainer.fitting.settings import ClassWeights, Devices, LossKind, Precision
from trainer.options import Labels, NearestKinds, Synonyms, Words

app = typer.Typer()
console = Console()


@app.command()
@report_errors
@with_tensorflow
def fit(
    features: Annotated[Path, typer.Option(help="Feature set (.npz) that `features` made.")],
    words: Words,
    run: Annotated[Path, typer.Option(help="The run's folder; an interrupted run continues.")],
    config: Annotated[
        Path | None, typer.Option(help="TOML file of all settings; the options below override it.")
    ] = None,
    labels: Labels = None,
    synonyms: Synonyms = None,
    loss: Annotated[LossKind | None, typer.Option(help="The loss to minimise.", show_default="joint")] = None,
    hidden: Annotated[list[int] | None, typer.Option(min=1, help="Width of a hidden layer; may be repeated.")] = None,
    dropout: Annotated[float | None, typer.Option(min=0, max=0.99, show_default="0")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, show_default="20")] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, show_default="256")] = None,
    learning_rate: Annotated[float | None, typer.Option(min=1e-9, show_default="0.001")] = None,
    weight_decay: Annotated[float | None, typer.Option(min=0, show_default="0.0001")] = None,
    patience: Annotated[
        int | None,
        typer.Option(min=0, help="Epochs without a better held-out loss before it ends; 0: never.", show_default="0"),
    ] = None,
    class_weights: Annotated[
        ClassWeights | None, typer.Option(help="Whether every class counts the same.", show_default="none")
    ] = None,
    precision: Annotated[
        Precision | None, typer.Option(help="auto: mixed_float16 on a GPU.", show_default="auto")
    ] = None,
    devices: Annotated[Devices | None, typer.Option(help="all: shared among the GPUs.", show_default="one")] = None,
    nearest_kinds: NearestKinds = 2,
    foreign_words: Annotated[int, typer.Option(min=0, help="Words of no class in the joint loss.")] = 2_000,
    seed: Annotated[int | None, typer.Option(min=0, show_default="0")] = None,
    start_from: Annotated[
        Path | None, typer.Option(help="Folder of another run, from whose last epoch a new one continues.")
    ] = None,
) -> None:
    """Train the head that maps features into the space of the words."""
    from trainer.features.feature_set import read_feature_set
    from trainer.fitting.recorded import check_packages, continue_from, fit_recorded, inputs_of
    from trainer.fitting.settings import head_settings
    from trainer.labels.class_words import classes_of
    from trainer.labels.space import Vocabulary, label_space_of
    from trainer.runs import Run, newest_epoch
    from trainer.words.word_space import read_trainable_words

    check_packages()
    table = read_trainable_words(words)
    options = {
        "loss": {"kind": loss},
        "hidden": hidden,
        "dropout": dropout,
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "weight_decay": weight_decay,
        "patience": patience,
        "class_weights": class_weights,
        "precision": precision,
        "devices": devices,
        "seed": seed,
    }
    settings = head_settings(config, options, table.vectors.shape[1])
    data = read_feature_set(features)
    called = classes_of(data.names, labels, synonyms)
    space = label_space_of(called, Vocabulary(table), nearest_kinds, foreign_words, settings.seed)
    files = {"features": features, "labels": labels, "synonyms": synonyms}
    inputs = inputs_of(
        files | {name: words / name for name in ("words.txt", "words.npy")},
        {"nearest_kinds": nearest_kinds, "foreign_words": foreign_words},
    )
    opened = Run(run, settings)
    if start_from is not None:
        continue_from(start_from, opened, inputs)
    try:
        with progress_bar(console) as progress:
            task = progress.add_task("head", total=settings.epochs, completed=newest_epoch(run), note="")

            def show(epoch: int, figures: Mapping[str, float]) -> None:
                progress.update(task, completed=epoch, note=epoch_note(figures))

            fitted = fit_recorded(opened, data, space, settings, inputs, [each.word for each in called], show)
            progress.update(task, total=fitted.epochs)
    except KeyboardInterrupt:
        console.print(
            f"Interrupted. The training up to epoch {newest_epoch(run)} of {settings.epochs} is kept in {run}: the "
            "same command continues from there."
        )
        raise typer.Exit(130) from None
    if settings.patience:
        console.print(f"trained for {fitted.epochs} of {settings.epochs} epochs; epoch {fitted.kept} is kept")
    console.print(f"head in {fitted.head}")
