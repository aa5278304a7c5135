"""The command line: ``python -m trainer words … | backbone | features | fit | export | …``, and evaluation's commands.

Contract: an error of training is one sentence on standard error and exit status 1, a bad option one sentence and 2.
Results are tables for people; ``--json`` writes them for machines. Heavy imports wait until a command needs them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from trainer.class_words import ClassWords
from trainer.errors import TrainingSetUnusable
from trainer.evaluation.commands import app as evaluation_commands
from trainer.feature_commands import app as feature_commands
from trainer.feature_commands import print_left_out
from trainer.one_sentence import one_sentence
from trainer.progress import progress_bar
from trainer.settings import HeadSettings, LossKind, LossSettings
from trainer.word_files.commands import app as word_commands

__all__ = ["app", "main"]

app = typer.Typer(
    name="trainer",
    help="Makes model bundles: word vectors, labelled images and a pretrained backbone in, one joint space out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(feature_commands)
app.add_typer(evaluation_commands)
app.add_typer(word_commands, name="words")
console = Console()

Labels = Annotated[Path | None, typer.Option(help="JSON with each class's words; without it folders name them.")]
Synonyms = Annotated[
    Path | None, typer.Option(help='JSON {"label": "word or words", …} for labels that get no vector by their name.')
]
Words = Annotated[Path, typer.Option(help="Folder with words.txt and words.npy.")]
NearestKinds = Annotated[int, typer.Option(min=0, help="Kinds in a label's vector, beside its word.")]


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
    from trainer.class_words import Vocabulary, class_words_of_names, read_class_words, with_synonyms
    from trainer.feature_files import read_feature_set
    from trainer.head import fit_head, save_head
    from trainer.label_targets import label_space_of
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


@app.command()
@one_sentence
def export(
    images: Annotated[list[Path], typer.Option(help="Labelled images that no training saw, for curves and figures.")],
    backbone: Annotated[Path, typer.Option(help="Backbone, as `features` had it.", exists=True)],
    head: Annotated[Path, typer.Option(help="Head as .keras file.", exists=True)],
    words: Words,
    out: Annotated[Path, typer.Option(help="Folder of the bundle; it must not exist.")],
    input_size: Annotated[
        int | None, typer.Option(min=8, help="Edge of its pictures in pixels, if the backbone takes any.")
    ] = None,
    feature_layer: Annotated[str, typer.Option(help="Tensor of a .tflite backbone that the features are.")] = "",
    name: Annotated[str, typer.Option(help="Name of the bundle: lower-case letters, digits, '.', '_', '-'.")] = "own",
    title: Annotated[str, typer.Option(help="What people see of it.")] = "Own model",
    labels: Labels = None,
    synonyms: Synonyms = None,
    nearest_kinds: NearestKinds = 2,
) -> None:
    """Measure a head and write everything as a bundle that the embedder serves."""
    from trainer.class_words import class_words_of_names, read_class_words, with_synonyms
    from trainer.datasets import read_images
    from trainer.export import Description, export_measured
    from trainer.extractors import extractor_of

    known = {} if labels else dict.fromkeys(label for image in read_images(images) for label in image.labels)
    named = read_class_words(labels) if labels else class_words_of_names(known)
    classes = with_synonyms(named, synonyms)
    size = extractor_of(backbone, input_size, feature_layer).input_size
    description = Description(name, title, "python -m trainer export", (), size, feature_layer=feature_layer)
    left_out: list[str] = []
    manifest = export_measured(
        out, backbone, head, words, read_images(images), classes, nearest_kinds, description, left_out.append
    )
    print_left_out(left_out)
    console.print(f"{manifest.id} in {out}")


@app.command()
@one_sentence
def starter(
    photos: Annotated[Path, typer.Argument(help="Folder with classes.json, train-*.tar and val.tar.", exists=True)],
    teacher: Annotated[Path, typer.Option(help="mobilenet_v2_1.0_224_quant.tflite, to distil from.", exists=True)],
    run: Annotated[Path, typer.Option(help="The run's folder; an interrupted run goes on.")] = Path("runs/starter"),
    bundle: Annotated[Path, typer.Option(help="Folder of the bundle.")] = Path("starter/bundle"),
    gallery: Annotated[Path, typer.Option(help="Folder of the rendered gallery.")] = Path("starter/gallery"),
) -> None:
    """Make the bundle and the gallery that ship, from photos, a sentence model and WordNet (hours)."""
    from trainer.starter.recipe import make_starter

    make_starter(photos, teacher, run, bundle, gallery, console)


@app.command()
@one_sentence
def starter_twin(
    photos: Annotated[Path, typer.Argument(help="Folder with classes.json, train-*.tar and val.tar.", exists=True)],
    unseen: Annotated[Path, typer.Option(help="JSON list of the classes to keep out of training.", exists=True)],
    run: Annotated[Path, typer.Option(help="The run's folder; an interrupted run goes on.")] = Path("runs/twin"),
    bundle: Annotated[Path, typer.Option(help="Folder of the bundle.")] = Path("runs/twin/bundle"),
) -> None:
    """Make the starter's twin that never saw some classes, for `evaluate --unseen` (an hour)."""
    from trainer.evaluation.zero_shot import read_unseen
    from trainer.starter.recipe import make_twin

    make_twin(photos, read_unseen(unseen), run, bundle, console)


@app.command("mobilenet-v2")
@one_sentence
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
    """Make the recipe that puts a pretrained network into the space of a bundle's words."""
    from trainer.recipes.mobilenet_v2 import make_recipe

    with progress_bar(Console(stderr=True)) as progress:
        task = progress.add_task("photos", total=None, note="")
        made = make_recipe(backbone, class_names, photos, words_of, labels, out, lambda: progress.advance(task))
    console.print(f"{made.model_id} in {out}")


def _in_order(classes: Sequence[ClassWords], names: Sequence[str]) -> tuple[ClassWords, ...]:
    by_name = {each.name: each for each in classes}
    missing = [name for name in names if name not in by_name]
    if missing:
        raise TrainingSetUnusable(f"The file of labels tells nothing of {', '.join(missing[:5])}. Add these classes.")
    return tuple(by_name[name] for name in names)


def main() -> None:
    """Run the command line."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # read when TensorFlow is imported, which speaks of itself
    app()
