"""The command `python -m trainer tune`."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from serving.durable_files import sha256
from trainer.console import progress_bar, report_errors, with_tensorflow
from trainer.errors import TrainingPackageMissing
from trainer.options import Labels, Synonyms, Words

if TYPE_CHECKING:
    from trainer.tuning.study import Choice, FinishedTrial

app = typer.Typer()
console = Console()

_SHOWN = 5


@app.command()
@report_errors
@with_tensorflow
def tune(
    features: Annotated[Path, typer.Argument(help="Feature set (.npz) that `features` made.", exists=True)],
    words: Words,
    run: Annotated[Path, typer.Option(help="The search's folder; an interrupted search continues.")],
    trials: Annotated[
        int, typer.Option(min=1, help="Number of settings to try, including those of earlier calls.")
    ] = 30,
    labels: Labels = None,
    synonyms: Synonyms = None,
    epochs: Annotated[int, typer.Option(min=1, help="Of each trial.")] = 20,
    batch_size: Annotated[int, typer.Option(min=1)] = 256,
    foreign_words: Annotated[int, typer.Option(min=0, help="Words of no class in the joint loss.")] = 2_000,
    seed: Annotated[int, typer.Option(min=0)] = 0,
) -> None:
    """Search for settings of the head with a better hit@1 on the validation images than the defaults."""
    for package in ("optuna", "matplotlib"):
        if find_spec(package) is None:
            raise TrainingPackageMissing(
                f"A search over settings needs {package}, which is not installed: pip install 'semsearch[train]'"
            )
    from trainer.features.feature_set import read_feature_set
    from trainer.fitting.settings import HeadSettings, write_head_file
    from trainer.labels.class_words import classes_of
    from trainer.labels.space import Vocabulary
    from trainer.plots import draw_search
    from trainer.tuning.searching import Material, TuningSettings, search
    from trainer.tuning.study import SearchSpace
    from trainer.words.word_space import read_trainable_words

    space = read_trainable_words(words)
    data = read_feature_set(features)
    classes = classes_of(data.names, labels, synonyms)
    settings = TuningSettings(
        SearchSpace(most_kinds=max(len(each.words) - 1 for each in classes)),
        HeadSettings(dimension=space.vectors.shape[1], epochs=epochs, batch_size=batch_size, seed=seed),
        foreign_words,
        tuple(f"sha256:{sha256(file)}" for file in (features, words / "words.txt", words / "words.npy")),
    )
    with progress_bar(console) as progress:
        task = progress.add_task("trials", total=trials, note="")

        def show(done: int, epoch: int, hit: float) -> None:
            progress.update(task, completed=done, note=f"epoch {epoch} of {epochs}, hit@1 {hit:.3f}")

        tried, importances = search(run, Material(data, classes, Vocabulary(space)), settings, trials, show)
        progress.update(task, completed=trials, note="")
    best = tried[0]
    console.print(_table(tried))
    kinds = f" --nearest-kinds {best.choice.nearest_kinds}"
    write_head_file(
        run / "head.toml", best.choice.settings,
        f"Trial {best.number}: held-out hit@1 {best.hit:.4f}. Its label vectors are those of{kinds}.",
    )  # fmt: skip
    draw_search(run / "tuning.png", tried, importances)
    console.print(f"best settings in {run / 'head.toml'}, drawn in {run / 'tuning.png'}; train with them:")
    console.print(f"python -m trainer fit … --config {run / 'head.toml'}{kinds}", markup=False)


def _table(tried: Sequence[FinishedTrial]) -> Table:
    table = Table()
    for heading in ("trial", "hit@1", "loss"):
        table.add_column(heading, no_wrap=True)
    table.add_column("settings")
    for each in (*tried[:_SHOWN], *(each for each in tried[_SHOWN:] if each.defaults)):
        number = f"{each.number}{' (defaults)' if each.defaults else ''}"
        table.add_row(number, f"{each.hit:.4f}", f"{each.loss:.4f}", _described(each.choice))
    return table


def _described(choice: Choice) -> str:
    settings, loss = choice.settings, choice.settings.loss
    widths = f"hidden {', '.join(map(str, settings.hidden))}, dropout {settings.dropout:.2f}"
    of_loss = {
        "hinge-rank": f" (margin {loss.margin:.2g})",
        "softmax": f" (scale {loss.scale:.2g})",
        "joint": f" (scale {loss.scale:.2g}, weights {loss.concept_weight:.2g} and {loss.cosine_weight:.2g})",
    }
    return "; ".join(
        (
            loss.kind + of_loss.get(loss.kind, ""),
            widths if settings.hidden else "no hidden layer",
            f"learning rate {settings.learning_rate:.2g}",
            f"weight decay {settings.weight_decay:.2g}",
            f"nearest kinds {choice.nearest_kinds}",
        )
    )
