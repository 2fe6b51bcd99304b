"""Configurations refuse what no run can do, and take those of earlier versions."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dataset.augment import UNCHANGED
from model.config import PRESETS, PhaseConfig, config_from_dict, config_to_dict


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"steps": 0}, "steps: expected a whole number from 1, got 0"),
        ({"epochs": -1}, "epochs: expected a whole number from 1, got -1"),
        ({"epochs": 1.5}, "epochs: expected a whole number from 1, got 1.5"),
        ({"restart_epochs": 0}, "restart_epochs: expected a whole number from 1, got 0"),
    ],
)
def test_phases_of_no_length_are_refused(changes: dict[str, int], expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        PhaseConfig(**changes)


def test_a_configuration_from_before_an_augmentation_goes_on_without_it() -> None:
    values = config_to_dict(PRESETS["lite"])
    values["augment"] = {"colour": 0.6, "mirror": 0.5, "background": 0.0}
    assert config_from_dict(values).augment == replace(UNCHANGED, colour=0.6, mirror=0.5)
    with pytest.raises(TypeError, match="sparkle"):
        config_from_dict(values | {"augment": {"sparkle": 1.0}})
    assert config_from_dict(config_to_dict(PRESETS["lite"])) == PRESETS["lite"]
