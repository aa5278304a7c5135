"""The command `python -m trainer fit-captions`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from trainer.console import print_left_out, progress_bar, report_errors, with_tensorflow
from trainer.options import FeatureLayer, InputSize, PixelMean, PixelStd, Words

app = typer.Typer()
console = Console()


@app.command()
@report_errors
@with_tensorflow
def fit_captions(
    images: Annotated[Path, typer.Argument(help="Folder or tar file of captioned pictures.")],
    captions: Annotated[Path, typer.Option(help="CSV with the columns path and caption, several lines a picture.")],
    backbone: Annotated[Path, typer.Option(help=".keras or .tflite file that gives features.", exists=True)],
    words: Words,
    run: Annotated[Path, typer.Option(help="The run's folder; an interrupted run continues.")],
    input_size: InputSize = None,
    feature_layer: FeatureLayer = "",
    pixel_mean: PixelMean = "",
    pixel_std: PixelStd = "",
    held_out: Annotated[float, typer.Option(min=0, max=0.9, help="Share of the scenes to leave out.")] = 0.2,
    groups: Annotated[
        int, typer.Option(min=0, help="Leading characters of a file's name that identify its scene.")
    ] = 5,
    epochs: Annotated[int, typer.Option(min=1)] = 40,
    members: Annotated[int, typer.Option(min=1, help="Heads that are trained apart, whose mean serves.")] = 2,
    batch: Annotated[int, typer.Option(min=2, help="Pictures in a step.")] = 256,
    seed: int = 0,
) -> None:
    """Train a head on captioned pictures, and turn the words to meet them; `export` makes a bundle of both."""
    from model.bundle.manifest import TAGGABLE, VECTORS, WORDS
    from trainer.backbones.pixel_scales import pixel_scale_of
    from trainer.caption_head.network import CaptionHeadSettings, write_turned_words
    from trainer.caption_head.pictures import captioned_features
    from trainer.caption_head.training import fit_caption_head
    from trainer.data_sets.captions import survey_captions
    from trainer.data_sets.survey import held_out as left_out_of
    from trainer.features.extractors import extractor_of
    from trainer.fitting.head import save_head
    from trainer.runs import Run
    from trainer.words.word_space import read_word_table

    table = read_word_table(words)
    found = survey_captions(images, captions)
    for finding in found.findings:
        console.print(finding, markup=False)
    settings = CaptionHeadSettings(members=members, epochs=epochs, batch=batch, seed=seed)
    unseen = set(left_out_of(found.captions, held_out, characters=groups))
    trained_on = [path for path in found.captions if path not in unseen]
    scale = pixel_scale_of(backbone, pixel_mean, pixel_std)
    extractor = extractor_of(backbone, input_size, feature_layer, pixel_scale=scale)
    left_out: list[str] = []
    with progress_bar(console) as progress:
        task = progress.add_task("pictures", total=len(trained_on), note="")
        captioned = captioned_features(
            found, trained_on, extractor, run / "features", table, lambda: progress.advance(task), left_out.append
        )
    print_left_out(left_out)
    with progress_bar(console) as progress:
        task = progress.add_task("epochs", total=epochs * members, note="")
        trained = fit_caption_head(
            Run(run, settings),
            captioned,
            (),
            table,
            None,
            settings,
            lambda epoch, figures: progress.update(task, completed=epoch, note=f"loss {figures['loss']:.3f}"),
        )
    save_head(trained.head, run / "head.keras")
    write_turned_words(run / "words", table, trained, table.taggable)
    console.print(
        f"Head in {run / 'head.keras'}; {WORDS}, {VECTORS} and {TAGGABLE} in {run / 'words'}. Both go into `export`: "
        "the words were turned with the head."
    )
