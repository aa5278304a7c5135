"""The command `python -m trainer fine-tune`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from serving.durable_files import sha256
from trainer.console import epoch_note, print_left_out, progress_bar, report_errors, with_tensorflow
from trainer.errors import BackboneUnusable
from trainer.fitting.settings import LossKind, LossSettings
from trainer.options import InputSize, Labels, NearestKinds, Sources, Synonyms, Validation, ValidationShare, Words

app = typer.Typer()
console = Console()


@app.command("fine-tune")
@report_errors
@with_tensorflow
def fine_tune_(
    images: Sources,
    backbone: Annotated[Path, typer.Option(help="Backbone as .keras file, as given to `features`.", exists=True)],
    head: Annotated[Path, typer.Option(help="Head as .keras file, as `fit` made it.", exists=True)],
    words: Words,
    out: Annotated[Path, typer.Option(help="The run's folder; an interrupted run continues.")],
    from_layer: Annotated[str, typer.Option(help="First layer of the backbone to train, if not a last block's.")] = "",
    last_blocks: Annotated[int, typer.Option(min=1, help="How many of the backbone's last blocks to train.")] = 1,
    input_size: InputSize = None,
    validation: Validation = None,
    validation_share: ValidationShare = 0.1,
    labels: Labels = None,
    synonyms: Synonyms = None,
    loss: Annotated[LossKind, typer.Option(help="The loss to minimise, as the head was trained.")] = "joint",
    epochs: Annotated[int, typer.Option(min=1)] = 5,
    batch_size: Annotated[int, typer.Option(min=1)] = 32,
    learning_rate: Annotated[float, typer.Option(min=1e-9)] = 1e-5,
    nearest_kinds: NearestKinds = 2,
    foreign_words: Annotated[int, typer.Option(min=0, help="Words of no class in the joint loss.")] = 2_000,
    seed: Annotated[int, typer.Option(min=0)] = 0,
) -> None:
    """Train the backbone's last block with the head, on pixels; keep the result only if the held-out loss falls."""
    if backbone.suffix == ".tflite":
        raise BackboneUnusable(
            f"{backbone} cannot be trained: a .tflite file holds a network that only computes. Give a .keras backbone "
            "(python -m trainer backbone), and a head that was fitted on its features."
        )
    from trainer.data_sets.reading import LabelledFile, read_images
    from trainer.data_sets.survey import survey
    from trainer.features.extractors import extractor_of
    from trainer.fine_tuning.pictures import read_pictures
    from trainer.fine_tuning.training import FineTuneSettings, fine_tune
    from trainer.keras_files import check_head
    from trainer.labels.class_words import classes_of
    from trainer.labels.space import Vocabulary, label_space_of
    from trainer.words.word_space import read_trainable_words

    def read() -> Iterator[LabelledFile]:
        yield from read_images(images)
        yield from read_images(validation or (), "validation")

    table = read_trainable_words(words)
    check_head(head, table.vectors.shape[1])
    known = survey(read(), validation_share)
    classes = classes_of(known.names, labels, synonyms)
    space = label_space_of(classes, Vocabulary(table), nearest_kinds, foreign_words, seed)
    left_out: list[str] = []
    pictures = read_pictures(read(), known, extractor_of(backbone, input_size), left_out.append)
    print_left_out(left_out, out / "unreadable.txt")
    target = hashlib.sha256(space.vectors.tobytes() + space.concepts.tobytes() + space.relevance.tobytes()).hexdigest()
    made_of = (f"sha256:{sha256(backbone)}", f"sha256:{sha256(head)}", pictures.digest, f"sha256:{target}")
    settings = FineTuneSettings(
        from_layer, last_blocks, LossSettings(loss), epochs, batch_size, learning_rate, seed, made_of
    )
    with progress_bar(console) as progress:
        task = progress.add_task("fine-tuning", total=epochs, note="")

        def show(epoch: int, figures: Mapping[str, float]) -> None:
            progress.update(task, completed=epoch, note=epoch_note(figures))

        outcome = fine_tune(out, backbone, head, pictures, space, settings, show)
        progress.update(task, completed=epochs)
    before, best = outcome.before, outcome.best
    console.print(f"trained: the head, and of the backbone {', '.join(outcome.layers)}", markup=False)
    console.print(
        f"held-out loss {before['held_out_loss']:.4f} before, {best['held_out_loss']:.4f} at the best epoch; "
        f"hit@1 {before['held_out_hit@1']:.4f} before, {best['held_out_hit@1']:.4f} then"
    )
    if outcome.better:
        console.print(f"better: {out / 'backbone.keras'} and {out / 'head.keras'}, for `export`")
    else:
        console.print(f"not better, so nothing is kept: stay with {backbone} and {head}")
