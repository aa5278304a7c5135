"""The last block of a small backbone trained with its head: what changes, what is kept, and how it resumes."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from model.networks.network import Network
from trainer.cli import app
from trainer.errors import BackboneUnusable, TrainingDiverged
from trainer.fine_tuning.pictures import Pictures
from trainer.fine_tuning.training import FineTuneSettings, fine_tune
from trainer.fitting.settings import LossSettings
from trainer.keras_files import load_network
from trainer.labels.space import LabelSpace
from trainer.runs import Run

SIZE, DIMENSION, CLASSES = 8, 50, 3
SETTINGS = FineTuneSettings(loss=LossSettings("softmax"), epochs=3, batch_size=8, learning_rate=0.01, seed=1)


@dataclass(frozen=True)
class Made:
    backbone: Path
    head: Path
    pictures: Pictures
    space: LabelSpace


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Pictures of a colour each, as raw bytes, and networks that know nothing of colours."""
    folder = tmp_path_factory.mktemp("networks")
    keras.utils.set_random_seed(0)
    pixels = keras.Input((SIZE, SIZE, 3), dtype="uint8")
    x = keras.layers.Rescaling(1 / 255)(pixels)
    for block in ("block1", "block2"):
        x = keras.layers.Conv2D(4, 3, name=f"{block}_conv")(x)
        x = keras.layers.BatchNormalization(name=f"{block}_bn")(x)
    keras.Model(pixels, keras.layers.GlobalAveragePooling2D()(x), name="small").save(folder / "backbone.keras")
    features = keras.Input((4,))
    x = keras.layers.BatchNormalization(trainable=False, name="standardise")(features)
    x = keras.layers.Dropout(0.2, seed=3)(keras.layers.Dense(8, activation="relu")(x))
    keras.Model(features, keras.layers.Dense(DIMENSION, name="space")(x), name="head").save(folder / "head.keras")
    random = np.random.default_rng(1)
    labels = random.integers(CLASSES, size=(48, 1)).astype(np.int32)
    shown = random.integers(0, 120, (48, SIZE, SIZE, 3), dtype=np.uint8)
    shown[np.arange(48), ..., labels[:, 0]] = 220

    def decode(content: bytes) -> np.ndarray:
        return np.frombuffer(content, np.uint8).reshape(SIZE, SIZE, 3)

    pictures = Pictures([each.tobytes() for each in shown], labels, np.arange(48) % 3 == 0, decode)
    space = LabelSpace.of_labels(list("abc"), random.normal(size=(CLASSES, DIMENSION)))
    return Made(folder / "backbone.keras", folder / "head.keras", pictures, space)


def weights(path: Path) -> dict[str, np.ndarray]:
    return {each.path: np.asarray(each) for each in load_network(path).weights if "seed_generator" not in each.path}


def test_only_the_last_block_and_the_head_change_and_they_serve(made: Made, tmp_path: Path) -> None:
    outcome = fine_tune(tmp_path, made.backbone, made.head, made.pictures, made.space, SETTINGS)
    assert outcome.better
    assert outcome.layers == ("block2_conv",)
    history = Run(tmp_path, SETTINGS).history()
    assert [line["epoch"] for line in history] == [0, 1, 2, 3]
    assert outcome.best["held_out_loss"] == min(line["held_out_loss"] for line in history)
    before, after = weights(made.backbone), weights(tmp_path / "backbone.keras")
    changed = {name for name in before if not np.array_equal(before[name], after[name])}
    assert changed == {"block2_conv/kernel", "block2_conv/bias"}
    before, after = weights(made.head), weights(tmp_path / "head.keras")
    changed = {name for name in before if not np.array_equal(before[name], after[name])}
    assert not any("standardise" in name for name in changed)
    assert any("space" in name for name in changed)

    network = Network(tmp_path / "backbone.keras", tmp_path / "head.keras", input_size=SIZE)
    held_out = np.flatnonzero(made.pictures.validation)
    vectors = network(np.stack([made.pictures.decode(made.pictures.files[image]) for image in held_out]))
    hits = np.argmax(vectors @ made.space.vectors.T, axis=1) == made.pictures.labels[held_out, 0]
    assert hits.mean() == pytest.approx(outcome.best["held_out_hit@1"])


def test_an_interrupted_training_ends_as_if_it_had_not_been(made: Made, tmp_path: Path) -> None:
    def interrupt(epoch: int, figures: dict[str, float]) -> None:
        if epoch == 2:
            raise KeyboardInterrupt

    broken, straight = tmp_path / "broken", tmp_path / "straight"
    expected = fine_tune(straight, made.backbone, made.head, made.pictures, made.space, SETTINGS)
    with pytest.raises(KeyboardInterrupt):
        fine_tune(broken, made.backbone, made.head, made.pictures, made.space, SETTINGS, interrupt)
    epochs: list[int] = []
    resumed = fine_tune(
        broken, made.backbone, made.head, made.pictures, made.space, SETTINGS, lambda epoch, _: epochs.append(epoch)
    )
    assert epochs == [3]
    assert resumed.best == pytest.approx(expected.best, abs=1e-4)
    for name, values in weights(straight / "backbone.keras").items():
        np.testing.assert_allclose(weights(broken / "backbone.keras")[name], values, atol=1e-4)


def test_what_is_not_better_is_not_kept(made: Made, tmp_path: Path) -> None:
    """Those for validation have labels that contradict the others': what is learnt makes them worse."""
    labels = np.where(made.pictures.validation[:, None], (made.pictures.labels + 1) % CLASSES, made.pictures.labels)
    first = fine_tune(tmp_path / "1", made.backbone, made.head, made.pictures, made.space, SETTINGS)
    assert first.better
    networks = (tmp_path / "1" / "backbone.keras", tmp_path / "1" / "head.keras")
    worse = replace(made.pictures, labels=labels)
    outcome = fine_tune(tmp_path / "2", *networks, worse, made.space, replace(SETTINGS, epochs=1))
    assert not outcome.better
    assert not list((tmp_path / "2").glob("*.keras"))


def test_a_loss_that_is_no_number_stops_and_says_what_to_lower(made: Made, tmp_path: Path) -> None:
    settings = replace(SETTINGS, learning_rate=1e38)
    with (
        np.errstate(all="ignore"),
        pytest.raises(TrainingDiverged, match=r"epoch 1 is not a number.*Lower the learning rate"),
    ):
        fine_tune(tmp_path, made.backbone, made.head, made.pictures, made.space, settings)


def test_a_head_of_another_backbone_is_refused(made: Made, tmp_path: Path) -> None:
    features = keras.Input((5,))
    keras.Model(features, keras.layers.Dense(DIMENSION)(features)).save(tmp_path / "head.keras")
    with pytest.raises(BackboneUnusable, match="takes 5 features, and the backbone gives 4"):
        fine_tune(tmp_path / "run", made.backbone, tmp_path / "head.keras", made.pictures, made.space, SETTINGS)


def test_an_epoch_sees_each_picture_once_shuffled_some_mirrored(made: Made) -> None:
    shown = np.arange(SIZE * SIZE * 3, dtype=np.uint8).reshape(SIZE, SIZE, 3)
    pictures = replace(made.pictures, decode=lambda content: shown)
    first, again, second = (list(pictures.training(8, 1, epoch)) for epoch in (1, 1, 2))
    labels = [np.concatenate([each for _, each in batches])[:, 0] for batches in (first, again, second)]
    assert sorted(labels[0]) == sorted(pictures.labels[~pictures.validation, 0])
    np.testing.assert_array_equal(labels[0], labels[1])
    assert list(labels[0]) != list(labels[2])
    seen = np.concatenate([pixels for pixels, _ in first])
    mirrored = (seen == shown[:, ::-1]).all(axis=(1, 2, 3))
    np.testing.assert_array_equal(~mirrored, (seen == shown).all(axis=(1, 2, 3)))
    assert 0 < mirrored.sum() < len(seen)
    assert all((pixels == shown).all() for pixels, _ in pictures.held_out(8))


def test_the_command_prints_both_losses_and_refuses_tflite(made: Made, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for channel, name in enumerate(("red", "green", "blue")):
        (tmp_path / "images" / name).mkdir(parents=True)
        for number in range(8):
            pixels = random.integers(0, 90, (SIZE, SIZE, 3), dtype=np.uint8)
            pixels[..., channel] = 200
            Image.fromarray(pixels).save(tmp_path / "images" / name / f"{number}.png")
    (tmp_path / "images" / "red" / "broken.png").write_bytes(b"no image")
    (tmp_path / "words").mkdir()
    (tmp_path / "words" / "words.txt").write_text("red\ngreen\nblue\nother\n")
    np.save(tmp_path / "words" / "words.npy", np.eye(4, DIMENSION, dtype=np.float16))

    def run(backbone: Path, *options: str) -> tuple[int, str, str]:
        arguments = [
            "fine-tune", str(tmp_path / "images"), "--backbone", str(backbone), "--head", str(made.head),
            "--words", str(tmp_path / "words"), "--out", str(tmp_path / "run"), "--epochs", "2", "--batch-size", "8",
            "--learning-rate", "0.01", "--validation-share", "0.3", *options,
        ]  # fmt: skip
        result = CliRunner().invoke(app, arguments)
        return result.exit_code, " ".join(result.stdout.split()), result.stderr

    code, out, error = run(made.backbone)
    assert code == 0, error
    assert "block2_conv" in out
    assert "1 images were left out" in out
    assert "before" in out
    assert "at the best epoch" in out
    assert "better" in out
    np.save(tmp_path / "words" / "words.npy", np.eye(4, DIMENSION + 1, dtype=np.float16))
    code, _, error = run(made.backbone)
    assert code == 1
    assert f"gives vectors of {DIMENSION} numbers, and the words have {DIMENSION + 1} each" in error
    np.save(tmp_path / "words" / "words.npy", np.eye(4, DIMENSION, dtype=np.float16))
    code, _, error = run(made.backbone, "--from-layer", "block1_conv")
    assert code == 1
    assert "from_layer was '', is 'block1_conv'" in error
    shutil.copy(made.backbone, tmp_path / "net.tflite")
    code, _, error = run(tmp_path / "net.tflite")
    assert code == 1
    assert "cannot be trained" in error
