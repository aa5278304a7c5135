"""The command `python -m trainer export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from trainer.console import print_left_out, report_errors, with_tensorflow
from trainer.exporting.weights import Weights
from trainer.options import FeatureLayer, InputSize, Labels, NearestKinds, PixelMean, PixelStd, Synonyms, Words

app = typer.Typer()
console = Console()


@app.command()
@report_errors
@with_tensorflow
def export(
    images: Annotated[list[Path], typer.Option(help="Labelled images not used in training, for curves and figures.")],
    backbone: Annotated[Path, typer.Option(help="Backbone, as given to `features`.", exists=True)],
    head: Annotated[Path, typer.Option(help="Head as .keras file.", exists=True)],
    words: Words,
    out: Annotated[Path, typer.Option(help="Folder of the bundle; it must not exist.")],
    input_size: InputSize = None,
    feature_layer: FeatureLayer = "",
    pixel_mean: PixelMean = "",
    pixel_std: PixelStd = "",
    name: Annotated[str, typer.Option(help="Name of the bundle: lower-case letters, digits, '.', '_', '-'.")] = "own",
    title: Annotated[str, typer.Option(help="Its name for people.")] = "Own model",
    labels: Labels = None,
    synonyms: Synonyms = None,
    nearest_kinds: NearestKinds = 2,
    weights: Annotated[
        Weights, typer.Option(help="float16 halves the networks' files, int8 quarters the backbone's (as .tflite).")
    ] = Weights.AS_IS,
) -> None:
    """Measure a head, write everything as a bundle for the embedder, and try searches on it."""
    from trainer.backbones.pixel_scales import pixel_scale_of
    from trainer.data_sets.reading import read_images
    from trainer.exporting.export import Description, export_measured
    from trainer.exporting.measuring import print_weights
    from trainer.exporting.smoke_search import compare_with_chance, print_searches
    from trainer.features.extractors import extractor_of
    from trainer.keras_files import check_head
    from trainer.labels.class_words import classes_shown
    from trainer.words.word_space import read_word_table

    check_head(head, read_word_table(words).vectors.shape[1])  # before reading all images, not after
    classes = classes_shown(images, labels, synonyms)
    scale = pixel_scale_of(backbone, pixel_mean, pixel_std)
    size = extractor_of(backbone, input_size, feature_layer, pixel_scale=scale).input_size
    command = "python -m trainer export" + ("" if weights is Weights.AS_IS else f" --weights {weights}")
    description = Description(name, title, command, (), size, feature_layer=feature_layer, pixel_scale=scale)
    left_out: list[str] = []
    exported = export_measured(
        out, backbone, head, words, read_images(images), classes, nearest_kinds, description, left_out.append, weights
    )
    print_left_out(left_out)
    networks = exported.networks
    if exported.given:
        print_weights(console, exported.given, networks, weights)
    print_searches(console, exported.searches, compare_with_chance(networks.evaluation, networks.truth))
    console.print(f"{exported.manifest.id} in {out}", soft_wrap=True)
