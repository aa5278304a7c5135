"""The command ``python -m trainer export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from trainer.backbones.pixel_scales import PixelMean, PixelStd, pixel_scale_of
from trainer.exporting.weights import Weights
from trainer.features.commands import print_left_out
from trainer.features.options import FeatureLayer, InputSize
from trainer.labels.options import Labels, NearestKinds, Synonyms, Words
from trainer.needs_tensorflow import needs_tensorflow
from trainer.one_sentence import one_sentence

__all__ = ["app"]

app = typer.Typer()
console = Console()


@app.command()
@one_sentence
@needs_tensorflow
def export(
    images: Annotated[list[Path], typer.Option(help="Labelled images that no training saw, for curves and figures.")],
    backbone: Annotated[Path, typer.Option(help="Backbone, as `features` had it.", exists=True)],
    head: Annotated[Path, typer.Option(help="Head as .keras file.", exists=True)],
    words: Words,
    out: Annotated[Path, typer.Option(help="Folder of the bundle; it must not exist.")],
    input_size: InputSize = None,
    feature_layer: FeatureLayer = "",
    pixel_mean: PixelMean = "",
    pixel_std: PixelStd = "",
    name: Annotated[str, typer.Option(help="Name of the bundle: lower-case letters, digits, '.', '_', '-'.")] = "own",
    title: Annotated[str, typer.Option(help="What people see of it.")] = "Own model",
    labels: Labels = None,
    synonyms: Synonyms = None,
    nearest_kinds: NearestKinds = 2,
    weights: Annotated[
        Weights, typer.Option(help="float16 halves the networks' files, int8 quarters the backbone's (as .tflite).")
    ] = Weights.AS_IS,
) -> None:
    """Measure a head, write everything as a bundle that the embedder serves, and try searches on it."""
    from trainer.data_sets.reading import read_images
    from trainer.exporting.export import Description, export_measured, read_word_table
    from trainer.exporting.smoke_search import beside_chance
    from trainer.exporting.tables import print_searches, print_weights
    from trainer.features.extractors import extractor_of
    from trainer.keras_files import check_head
    from trainer.labels.naming import classes_shown

    check_head(head, read_word_table(words).vectors.shape[1])  # before all images are read, not after
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
    print_searches(console, exported.searches, beside_chance(networks.evaluation, networks.truth))
    console.print(f"{exported.manifest.id} in {out}", soft_wrap=True)
