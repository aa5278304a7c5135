"""Training on several devices, which here are two halves of the processor.

In a process of its own, as devices are made before TensorFlow starts.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import json, sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import tensorflow as tf

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)

from trainer.features.feature_set import FeatureSet
from trainer.fitting.optimisation import training_devices
from trainer.fitting.head import fit_head
from trainer.fitting.settings import HeadSettings
from trainer.labels.space import LabelSpace
from trainer.runs import Run

random = np.random.default_rng(0)
labels = random.integers(3, size=50)
features = random.normal(size=(3, 8))[labels] + random.normal(size=(50, 8))
data = FeatureSet(features[:, None], np.arange(50), labels[:, None], tuple("abc"))
space = LabelSpace.of_labels("abc", random.normal(size=(3, 5)))
one = HeadSettings(hidden=(7,), dimension=5, epochs=4, batch_size=11, learning_rate=0.01, class_weights="balanced")
all_ = replace(one, devices="all")


def stop(epoch, figures):
    if epoch == 2:
        raise KeyboardInterrupt


folder = Path(sys.argv[1])
run = Run(folder / "one", one)
alone = fit_head(run, data, space, one)
shared = Run(folder / "all", all_)
try:
    fit_head(shared, data, space, all_, stop)
except KeyboardInterrupt:
    together = fit_head(shared, data, space, all_)
apart = max(np.abs(mine - theirs).max() for mine, theirs in zip(alone.get_weights(), together.get_weights()))
print(json.dumps({"devices": training_devices("all"), "apart": float(apart), "epochs": len(shared.history())}))
"""


def test_a_head_trained_on_all_devices_is_that_of_one(tmp_path: Path) -> None:
    """A batch that cannot be shared evenly is among them; and the training is interrupted."""
    done = subprocess.run([sys.executable, "-c", PROGRAM, str(tmp_path)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert len(result["devices"]) == 2
    assert result["epochs"] == 4
    assert result["apart"] < 1e-4
