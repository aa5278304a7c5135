"""What a search may choose: the bounds of a head's settings, and a choice within them.

Contract: a choice follows from its parameters alone (``SearchSpace.choose`` of a FixedTrial gives it again), and the
settings that ``fit`` has without options lie within the bounds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast, get_args

from optuna.trial import BaseTrial

from trainer.fitting.settings import HeadSettings, LossKind, LossSettings

__all__ = ["Choice", "SearchSpace"]

_KINDS = 2  # in a label's vector, as `fit` has it


@dataclass(frozen=True)
class Choice:
    """Settings of a head, and how many kinds are in a label's vector."""

    settings: HeadSettings
    nearest_kinds: int


@dataclass(frozen=True)
class SearchSpace:
    """Bounds, least and most; rates, scales and weights are drawn evenly in their logarithm.

    ``widths``: of a hidden layer. ``most_hidden``: how many of them. ``most_kinds``: how many kinds the classes have,
    so that a data set without kinds has none to choose from.
    """

    most_kinds: int = 0
    learning_rate: tuple[float, float] = (1e-4, 1e-2)
    weight_decay: tuple[float, float] = (1e-6, 1e-1)
    widths: tuple[int, ...] = (256, 512, 1024, 2048)
    most_hidden: int = 2
    dropout: tuple[float, float] = (0.0, 0.6)
    losses: tuple[LossKind, ...] = get_args(LossKind)
    margin: tuple[float, float] = (0.02, 0.5)
    scale: tuple[float, float] = (5.0, 60.0)
    loss_weight: tuple[float, float] = (0.1, 10.0)

    def defaults(self) -> dict[str, float | str]:
        """The parameters of what ``fit`` does without options."""
        head, loss = HeadSettings(), LossSettings("joint")
        kinds = {"nearest_kinds": min(_KINDS, self.most_kinds)} if self.most_kinds else {}
        return {
            "learning_rate": head.learning_rate,
            "weight_decay": head.weight_decay,
            "hidden_layers": len(head.hidden),
            "loss": loss.kind,
            "scale": loss.scale,
            "concept_weight": loss.concept_weight,
            "cosine_weight": loss.cosine_weight,
            **kinds,
        }

    def choose(self, trial: BaseTrial, base: HeadSettings) -> Choice:
        """A trial's choice; what is not searched over is as in ``base``."""
        widths = tuple(
            int(trial.suggest_categorical(f"width_{number}", self.widths))
            for number in range(1, trial.suggest_int("hidden_layers", 0, self.most_hidden) + 1)
        )
        settings = replace(
            base,
            hidden=widths,
            dropout=trial.suggest_float("dropout", *self.dropout) if widths else 0.0,
            loss=self._loss(trial),
            learning_rate=trial.suggest_float("learning_rate", *self.learning_rate, log=True),
            weight_decay=trial.suggest_float("weight_decay", *self.weight_decay, log=True),
        )
        return Choice(settings, trial.suggest_int("nearest_kinds", 0, self.most_kinds) if self.most_kinds else 0)

    def _loss(self, trial: BaseTrial) -> LossSettings:
        loss = LossSettings(cast(LossKind, trial.suggest_categorical("loss", self.losses)))
        if loss.kind == "hinge-rank":
            return replace(loss, margin=trial.suggest_float("margin", *self.margin, log=True))
        if loss.kind in ("softmax", "joint"):
            loss = replace(loss, scale=trial.suggest_float("scale", *self.scale, log=True))
        if loss.kind == "joint":
            concept = trial.suggest_float("concept_weight", *self.loss_weight, log=True)
            cosine = trial.suggest_float("cosine_weight", *self.loss_weight, log=True)
            loss = replace(loss, concept_weight=concept, cosine_weight=cosine)
        return loss
