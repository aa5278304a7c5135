"""The command line: `python -m trainer words … | backbone | features | fit | export | …`, and evaluation's commands.

Contract: an error of training is one sentence on standard error and exit status 1, a bad option is one sentence and
exit status 2. Results are tables for people; `--json` writes them for machines. Heavy imports wait until a command
needs them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from trainer.caption_head.commands import app as caption_commands
from trainer.console import progress_bar, report_errors, with_tensorflow
from trainer.evaluation.commands import app as evaluation_commands
from trainer.exporting.commands import app as export_commands
from trainer.features.commands import app as feature_commands
from trainer.fine_tuning.commands import app as fine_tune_commands
from trainer.fitting.commands import app as fit_commands
from trainer.tuning.commands import app as tune_commands
from trainer.words.commands import app as word_commands

app = typer.Typer(
    name="trainer",
    help="Makes model bundles: word vectors, labelled images and a pretrained backbone in, one joint space out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(feature_commands)
app.add_typer(fit_commands)
app.add_typer(caption_commands)
app.add_typer(tune_commands)
app.add_typer(fine_tune_commands)
app.add_typer(export_commands)
app.add_typer(evaluation_commands)
app.add_typer(word_commands, name="words")
console = Console()


@app.command()
@report_errors
@with_tensorflow
def starter(
    photos: Annotated[Path, typer.Argument(help="Folder with classes.json, train-*.tar and val.tar.", exists=True)],
    teacher: Annotated[Path, typer.Option(help="mobilenet_v2_1.0_224_quant.tflite, to distil from.", exists=True)],
    run: Annotated[Path, typer.Option(help="The run's folder; an interrupted run continues.")] = Path("runs/starter"),
    bundle: Annotated[Path, typer.Option(help="Folder of the bundle.")] = Path("starter/bundle"),
    gallery: Annotated[Path, typer.Option(help="Folder of the rendered gallery.")] = Path("starter/gallery"),
) -> None:
    """Make the bundle and the gallery that ship, from photos, a sentence model and WordNet (hours)."""
    from trainer.starter.recipe import make_starter

    make_starter(photos, teacher, run, bundle, gallery, console)


@app.command()
@report_errors
@with_tensorflow
def starter_twin(
    photos: Annotated[Path, typer.Argument(help="Folder with classes.json, train-*.tar and val.tar.", exists=True)],
    unseen: Annotated[Path, typer.Option(help="JSON list of the classes to keep out of training.", exists=True)],
    run: Annotated[Path, typer.Option(help="The run's folder; an interrupted run continues.")] = Path("runs/twin"),
    bundle: Annotated[Path, typer.Option(help="Folder of the bundle.")] = Path("runs/twin/bundle"),
) -> None:
    """Make the starter's twin that never saw some classes, for `evaluate --unseen` (an hour)."""
    from trainer.measures.evaluate import read_unseen
    from trainer.starter.recipe import make_twin

    make_twin(photos, read_unseen(unseen), run, bundle, console)


@app.command("mobilenet-v2")
@report_errors
@with_tensorflow
def mobilenet_v2(
    photos: Annotated[Path, typer.Argument(help="Folder with classes.json and val.tar.", exists=True)],
    backbone: Annotated[Path, typer.Option(help="mobilenet_v2_1.0_224_quant.tflite.", exists=True)],
    class_names: Annotated[Path, typer.Option(help="Names of the network's classes, a line each.", exists=True)],
    words_of: Annotated[Path, typer.Option(help="Bundle whose words are used.")] = Path("starter/bundle"),
    labels: Annotated[Path, typer.Option(help="JSON with the words of the photos' classes.")] = Path(
        "starter/labels.json"
    ),
    out: Annotated[Path, typer.Option(help="The recipe's folder.")] = Path("starter/recipes/mobilenet-v2"),
) -> None:
    """Make the recipe that maps a pretrained network into the space of a bundle's words."""
    from trainer.recipes.mobilenet_v2 import make_recipe

    with progress_bar(Console(stderr=True)) as progress:
        task = progress.add_task("photos", total=None, note="")
        made = make_recipe(backbone, class_names, photos, words_of, labels, out, lambda: progress.advance(task))
    console.print(f"{made.model_id} in {out}", soft_wrap=True)


@app.command()
@report_errors
@with_tensorflow
def photos(
    captioned: Annotated[Path, typer.Argument(help="Folder or tar of captioned photos.", exists=True)],
    captions: Annotated[Path, typer.Option(help="CSV with the columns path and caption.", exists=True)],
    scenes: Annotated[Path, typer.Option(help="Photos of scenes: a folder a class, or a tar of such.", exists=True)],
    things: Annotated[Path, typer.Option(help="Folder with classes.json and val.tar, to fit curves on.", exists=True)],
    class_names: Annotated[Path, typer.Option(help="Names of ImageNet's classes, a line each.", exists=True)],
    words_of: Annotated[Path, typer.Option(help="Bundle whose words are used.")] = Path("starter/bundle"),
    labels: Annotated[Path, typer.Option(help="JSON with the words of the things' classes.")] = Path(
        "starter/labels.json"
    ),
    gallery: Annotated[Path, typer.Option(help="The rendered gallery.")] = Path("starter/gallery"),
    run: Annotated[Path, typer.Option(help="The run's folder; an interrupted run continues.")] = Path("runs/photos"),
    out: Annotated[Path, typer.Option(help="The recipe's folder.")] = Path("starter/recipes/photos"),
) -> None:
    """Make the default model: a network from an installed package, and a head trained on captions (20 minutes)."""
    from trainer.recipes.photos import PhotosSources, make_photos

    sources = PhotosSources(captioned, captions, scenes, things, labels, class_names, words_of, gallery)
    make_photos(sources, run, out, console)


def main() -> None:
    """Run the command line."""
    app()
