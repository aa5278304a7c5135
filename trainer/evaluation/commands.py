"""The commands `python -m trainer evaluate | evaluate-photos | evaluate-captions | card`.

Contract: the same as `trainer.cli`'s, which adds these commands. Heavy imports wait until a command needs them.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from trainer.console import progress_bar, report_errors, with_tensorflow
from trainer.errors import TrainingPackageMissing
from trainer.words.wordnet import DEFAULT_FOLDER, WordNet

if TYPE_CHECKING:
    from trainer.evaluation.comparison import Teacher
    from trainer.evaluation.report import Report

app = typer.Typer()
console = Console()

Bundle = Annotated[Path, typer.Option(help="Folder of the bundle.")]
WordNetFolder = Annotated[Path, typer.Option("--wordnet", help="Folder of WordNet's files; used if it exists.")]
Json = Annotated[bool, typer.Option("--json", help="Write JSON for machines.")]

_BUNDLE = Path("starter/bundle")


@app.command()
@report_errors
@with_tensorflow
def evaluate(
    images: Annotated[list[Path], typer.Argument(help="A folder per class, tar files of such, or JSONL with paths.")],
    bundle: Bundle = _BUNDLE,
    labels: Annotated[
        Path | None, typer.Option(help="JSON with each class's words; without it folders name them.")
    ] = None,
    synonyms: Annotated[
        Path | None, typer.Option(help='JSON {"label": "word or words", …}, as given to `fit`.')
    ] = None,
    nearest_kinds: Annotated[int, typer.Option(min=0, help="Kinds in a label's vector, in addition to its word.")] = 2,
    compare: Annotated[list[Path] | None, typer.Option(help="Another bundle to compare with; may be repeated.")] = None,
    training: Annotated[
        list[Path] | None,
        typer.Option(help="Training images, for baselines; none of them is measured. May be repeated."),
    ] = None,
    training_cap: Annotated[
        int | None, typer.Option(min=1, help="Use at most this number of training images per class.")
    ] = None,
    unseen: Annotated[
        Path | None, typer.Option(help="JSON list of classes that the bundle was trained without: zero-shot figures.")
    ] = None,
    teacher: Annotated[
        Path | None, typer.Option(help="A pretrained .tflite classifier as a baseline; needs --teacher-labels.")
    ] = None,
    teacher_labels: Annotated[Path | None, typer.Option(help="Names of its outputs, a line each.")] = None,
    teacher_images: Annotated[int, typer.Option(min=0, help="Run it on this number of images; 0 means all.")] = 0,
    word_pairs: Annotated[
        list[Path] | None, typer.Option(help="Graded pairs, word-word-number lines between tabs; may be repeated.")
    ] = None,
    wordnet: WordNetFolder = DEFAULT_FOLDER,
    out: Annotated[
        Path | None, typer.Option(help="Folder for report.json, report.md and plots (needs the extra `report`).")
    ] = None,
    json_output: Json = False,
) -> None:
    """Measure a bundle, as served, on labelled images, and compare it with baselines and other bundles."""
    from trainer.evaluation.comparison import ComparisonRequest, EvaluationOptions
    from trainer.evaluation.comparison import compare as side_by_side
    from trainer.evaluation.report import as_json, print_report
    from trainer.evaluation.words import OWN_PAIRS, read_word_pairs
    from trainer.labels.class_words import classes_shown
    from trainer.measures.evaluate import read_unseen

    if out is not None:
        _check_plots()
    lists = {"own list": OWN_PAIRS} | {path.stem: path for path in word_pairs or ()}
    options = EvaluationOptions(
        nearest_kinds,
        _wordnet(wordnet),
        {name: read_word_pairs(path) for name, path in lists.items()},
        None if unseen is None else read_unseen(unseen),
    )
    with progress_bar(Console(stderr=True)) as progress:
        tasks = {}

        def tick(stage: str) -> None:
            if stage not in tasks:
                tasks[stage] = progress.add_task(stage, total=None, note="")
            progress.advance(tasks[stage])

        report = side_by_side(
            ComparisonRequest(
                bundles=tuple(dict.fromkeys((bundle, *(compare or ())))),
                images=tuple(images),
                classes=classes_shown(images, labels, synonyms),
                options=options,
                training=tuple(training or ()),
                per_class=training_cap,
                teacher=_teacher(teacher, teacher_labels, teacher_images),
                tick=tick,
            )
        )
    if out is not None:
        _write(report, out)
    if json_output:
        print(as_json(report))  # noqa: T201
    else:
        print_report(console, report)


@app.command()
@report_errors
@with_tensorflow
def evaluate_photos(
    photos: Annotated[
        Path, typer.Argument(help="Folder of photos named by WordNet ids: n01443537_goldfish.jpg.", exists=True)
    ],
    bundle: Bundle = _BUNDLE,
    wordnet: WordNetFolder = DEFAULT_FOLDER,
    json_output: Json = False,
) -> None:
    """Measure a bundle's tags and searches on photos of any WordNet senses, right by lemma or hypernym."""
    from model.bundle.reading import open_bundle
    from trainer.evaluation.images import embed_images
    from trainer.evaluation.photos import as_json, measure_photos, print_photos, read_photos, senses_of
    from trainer.labels.class_words import class_words_of_names
    from trainer.labels.space import vocabulary_of

    nouns = WordNet.read(wordnet)
    opened = open_bundle(bundle)
    names = dict.fromkeys(photo.labels[0] for photo in read_photos(photos))
    with progress_bar(Console(stderr=True)) as progress:
        task = progress.add_task("photos", total=None, note="")
        truth = embed_images(
            opened, read_photos(photos), class_words_of_names(names), lambda: progress.advance(task)
        ).truth
    senses = senses_of([truth.classes[label].name for label in truth.labels[:, 0]], nouns)
    figures = measure_photos(truth.vectors, senses, vocabulary_of(opened.words), opened.words.taggable, nouns)
    if json_output:
        print(as_json(opened.manifest.id, figures))  # noqa: T201
    else:
        print_photos(console, opened.manifest.id, figures)


@app.command()
@report_errors
@with_tensorflow
def evaluate_captions(
    images: Annotated[Path, typer.Argument(help="A folder or a tar file of pictures.")],
    captions: Annotated[Path, typer.Option(help="CSV with the columns path and caption, several lines a picture.")],
    bundle: Bundle = _BUNDLE,
    compare: Annotated[list[Path] | None, typer.Option(help="Another bundle to compare with; may be repeated.")] = None,
    held_out: Annotated[
        float, typer.Option(min=0, max=1, help="Measure this share of the scenes: the one that training left out.")
    ] = 0.2,
    groups: Annotated[
        int, typer.Option(min=0, help="Leading characters of a file's name that identify its scene; 0: each its own.")
    ] = 5,
    seed: Annotated[int, typer.Option(help="Which scenes are held out, and which images are drawn.")] = 0,
    only: Annotated[
        Path | None, typer.Option(help="Measure the pictures that this file lists, a path a line, instead.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Measure at most this number of images.")] = 1000,
    json_output: Json = False,
) -> None:
    """Measure a bundle, as served, on captioned pictures: searches by caption and by word, and tags."""
    from trainer.data_sets.captions import survey_captions
    from trainer.evaluation.caption_comparison import choose_held_out, choose_listed, compare_on_captions
    from trainer.evaluation.captions import captions_as_json, print_captions

    found = survey_captions(images, captions)
    if only is None:
        chosen = choose_held_out(found, held_out, limit, seed=seed, characters=groups)
    else:
        chosen = choose_listed(found, only, limit, seed=seed)
    with progress_bar(Console(stderr=True)) as progress:
        tasks = {}

        def tick(stage: str) -> None:
            if stage not in tasks:
                tasks[stage] = progress.add_task(stage, total=len(chosen.paths), note="")
            progress.advance(tasks[stage])

        report = compare_on_captions(tuple(dict.fromkeys((bundle, *(compare or ())))), found, chosen, tick)
    if json_output:
        print(captions_as_json(report))  # noqa: T201
    else:
        print_captions(console, report)


@app.command()
@report_errors
def card(
    bundle: Annotated[Path, typer.Argument(help="Folder of the bundle, or of the recipe that makes it.")],
    report: Annotated[Path, typer.Option(help="The report.json that `evaluate --out` wrote about it.")],
    out: Annotated[Path | None, typer.Option(help="Another Markdown file to write it to.")] = None,
) -> None:
    """Write a bundle's model card into it, from its manifest and its evaluation."""
    from model.bundle.reading import CARD, peek
    from trainer.evaluation.model_card import card_text, read_report

    text = card_text(peek(bundle), read_report(report))
    for path in (bundle / CARD, *([out] if out else [])):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        console.print(f"card in {path}")


def _wordnet(folder: Path) -> WordNet | None:
    return WordNet.read(folder) if (folder / "data.noun").exists() else None


def _teacher(network: Path | None, labels: Path | None, images: int) -> Teacher | None:
    from trainer.evaluation.comparison import Teacher
    from trainer.evaluation.teacher import tflite_classifier

    if network is None:
        return None
    if labels is None:
        raise typer.BadParameter("a teacher's outputs have no names without --teacher-labels")
    outputs = tuple(labels.read_text(encoding="utf-8").splitlines())
    return Teacher(tflite_classifier(network), outputs, images)


def _check_plots() -> None:
    """Check for Matplotlib before hours of measuring, not after."""
    if find_spec("matplotlib") is None:
        raise TrainingPackageMissing(
            "Matplotlib is not installed, so no plots can be drawn. Install it: pip install 'semsearch[report]'"
        )


def _write(report: Report, folder: Path) -> None:
    from trainer.evaluation.plots import write_plots
    from trainer.evaluation.report import as_json, as_markdown

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_text(as_json(report) + "\n", encoding="utf-8")
    plots = write_plots(report, folder)
    pictures = "".join(f"\n![{path.stem}]({path.name})\n" for path in plots)
    (folder / "report.md").write_text(as_markdown(report) + pictures, encoding="utf-8")
