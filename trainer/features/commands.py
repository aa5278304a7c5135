"""The commands `python -m trainer backbone | features`, and those of the feature cache."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from trainer.backbones.applications import APPLICATIONS
from trainer.console import print_left_out, progress_bar, report_errors, with_tensorflow
from trainer.features.cache import Cached, cache_folder, clean, list_caches, shared_folder
from trainer.options import FeatureLayer, InputSize, PixelMean, PixelStd, Sources, Validation, ValidationShare

app = typer.Typer()
cache_app = typer.Typer(no_args_is_help=True, help="Feature caches: list them and remove unused ones.")
app.add_typer(cache_app, name="cache")
console = Console()


Caches = Annotated[
    Path | None,
    typer.Option("--cache", help="Folder of all feature caches; $SEMSEARCH_DATA/cache/features by default."),
]
Ray = Annotated[
    str,
    typer.Option(
        "--ray", metavar="local|HOST:PORT", help="Compute with Ray: with workers on this machine, or with the cluster "
        "at an address.",
    ),
]  # fmt: skip
Workers = Annotated[
    int | None,
    typer.Option("--workers", min=1, help="Ray workers, each on one core; this machine's cores by default."),
]


@app.command()
@report_errors
@with_tensorflow
def backbone(
    name: Annotated[str, typer.Argument(help=f"One of {', '.join(APPLICATIONS)}.")],
    out: Annotated[Path, typer.Option(help="The .keras file to write.")],
    weights: Annotated[
        str, typer.Option(help="`imagenet` (Keras downloads them), a file as Keras offers it, or `random`.")
    ] = "imagenet",
    input_size: Annotated[int | None, typer.Option(min=32, help="Edge of its pictures, if not as trained.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of random weights.")] = 0,
) -> None:
    """Write a network of keras.applications as a backbone: uint8 pixels in, features out."""
    from trainer.backbones.building import build_backbone, save_backbone

    network = build_backbone(name, weights, seed, input_size)
    save_backbone(network, out)
    console.print(f"{out}: pictures of {network.input_shape[1]} pixels → {network.output_shape[-1]:,} features")


@app.command()
@report_errors
@with_tensorflow
def features(
    images: Sources,
    backbone: Annotated[Path, typer.Option(help="A .keras file, uint8 pixels in and features out, or a .tflite one.")],
    out: Annotated[Path, typer.Option(help="Folder for the feature set and the list of images left out.")],
    input_size: InputSize = None,
    feature_layer: FeatureLayer = "",
    pixel_mean: PixelMean = "",
    pixel_std: PixelStd = "",
    validation: Validation = None,
    validation_share: ValidationShare = 0.1,
    mirror: Annotated[
        bool, typer.Option("--mirror/--no-mirror", help="Compute each picture mirrored too; half the speed.")
    ] = True,
    cache: Caches = None,
    name: Annotated[str, typer.Option(help="Name of the feature set in the folder.")] = "training",
    ray: Ray = "",
    workers: Workers = None,
) -> None:
    """Run the backbone over labelled images; features computed earlier are reused."""
    from trainer.backbones.pixel_scales import pixel_scale_of
    from trainer.data_sets.reading import DataSets, LabelledFile
    from trainer.data_sets.survey import check_classes, survey
    from trainer.features.cache import CacheSpec, FeatureCache
    from trainer.features.cluster import opened_ray
    from trainer.features.computing import (
        LabelledImage,
        Seen,
        Undecodable,
        collect_features,
        computed_here,
        views_of,
    )
    from trainer.features.extractors import extractor_of
    from trainer.features.feature_set import write_feature_set

    left_out: list[str] = []
    sources = DataSets(tuple(images), tuple(validation or ()))

    def checked() -> Iterator[LabelledFile]:
        for image in sources:
            if not image.labels:
                left_out.append(f"{image.key}\tIts annotation has no object, so it has no label.")
            yield image

    def refuse(image: LabelledImage, error: Undecodable) -> None:
        left_out.append(f"{image.key}\t{error}")

    known = survey(checked(), validation_share)
    pixel_scale = pixel_scale_of(backbone, pixel_mean, pixel_std)
    extractor = extractor_of(backbone, input_size, feature_layer, pixel_scale=pixel_scale)
    spec = CacheSpec(extractor.name, views_of(mirror=mirror), extractor.dimension)
    folder = cache_folder(cache or shared_folder(), spec)

    def computing(cache: FeatureCache) -> Iterator[Seen]:
        if not ray:
            yield from computed_here(sources.labelled(), extractor, cache)
            return
        number = workers or os.cpu_count() or 1
        with opened_ray(ray, number):
            from trainer.features.distributed import BackboneFile, computed_by_ray

            content = BackboneFile(backbone.name, backbone.read_bytes(), input_size, feature_layer, pixel_scale)
            yield from computed_by_ray(sources.labelled(), content, cache, number)

    with FeatureCache(folder, spec) as opened, progress_bar(console) as progress:
        task = progress.add_task("images", total=known.images - len(left_out), note="")
        seen = progress.track(computing(opened), task_id=task)
        computed = collect_features(seen, known.names, opened, refuse, known.validation)
    print_left_out(left_out, out / "unreadable.txt")
    check_classes(known.names, computed.distinct_images())
    write_feature_set(out / f"{name}.npz", computed, folder)
    validates = int(sum(computed.validation)) if computed.validation is not None else 0
    console.print(
        f"{len(computed):,} images of {len(known.names)} classes in {out / f'{name}.npz'}, {validates:,} for validation"
    )


@cache_app.command("list")
@report_errors
def list_(cache: Caches = None) -> None:
    """List the feature caches with their sizes."""
    root = cache or shared_folder()
    caches = list(list_caches(root))
    _print(caches)
    console.print(f"{sum(each.bytes for each in caches) / 2**20:,.1f} MiB in {root}")


@cache_app.command("clean")
@report_errors
def clean_(
    keep_days: Annotated[
        int, typer.Option(min=0, help="Keep caches used in this number of days; 0 keeps nothing.")
    ] = 30,
    cache: Caches = None,
) -> None:
    """Remove feature caches that no run has used for a while; they can always be computed again."""
    removed, in_use = clean(cache or shared_folder(), timedelta(days=keep_days))
    _print(removed)
    console.print(f"{sum(each.bytes for each in removed) / 2**20:,.1f} MiB removed")
    if in_use:
        console.print(f"{len(in_use)} kept, as a process is writing to them")


def _print(caches: Sequence[Cached]) -> None:
    table = Table("backbone", "images", "MiB", "last used", "folder")
    for each in caches:
        table.add_row(
            each.spec.extractor, f"{each.images:,}", f"{each.bytes / 2**20:,.1f}",
            f"{each.last_used:%Y-%m-%d %H:%M}", each.folder.name,
        )  # fmt: skip
    console.print(table)
