"""Crops and encoded normals of one view equal those of whole frames."""

from __future__ import annotations

import numpy as np
import torch

from model.crop_sampling import encoded_normals_of_depth, sample_normals, sample_picture
from model.encoding import encode_depth, normals_from_depth


def test_a_picture_is_sampled_between_its_pixels_and_fades_to_grey_outside() -> None:
    image = np.zeros((2, 2, 3), dtype=np.uint8)
    image[:, 1] = 255
    crop = np.zeros((3, 1, 5), dtype=np.float32)
    # Half a pixel a step, from half a pixel left of the first centre.
    sample_picture(image, np.array([[0.5, 0.0, -0.5], [0.0, 1.0, 0.0]]), crop)
    # -1 at x = 0 and 1 at x = 1; half of each outside, where there is 0.
    assert np.allclose(crop, [[[-0.5, -1.0, 0.0, 1.0, 0.5]]])
    beyond = np.zeros((3, 1, 2), dtype=np.float32)
    sample_picture(image, np.array([[1.0, 0.0, 2.0], [0.0, 1.0, 0.0]]), beyond)
    assert not beyond.any()


def test_normals_are_sampled_side_by_side_and_nothing_is_added_to_the_background() -> None:
    encoded = np.zeros((1, 3, 6), dtype=np.float32)
    encoded[0, 0] = [0.5, 0.25, 1.0, 0.0, 0.75, 0.5]
    crop = np.zeros((6, 1, 2), dtype=np.float32)
    sample_normals(encoded, np.array([[2.0, 0.0, 0.25], [0.0, 1.0, 0.0]]), crop)
    assert np.allclose(crop[:, 0, 0], 0.75 * encoded[0, 0])
    assert not crop[:, 0, 1].any()


def test_normals_of_a_window_are_those_of_its_depth_maps() -> None:
    generator = np.random.default_rng(0)
    distance = generator.uniform(0.9, 1.1, (2, 9, 7)).astype(np.float32)
    distance[generator.random(distance.shape) < 0.3] = 0.0
    expected = normals_from_depth(encode_depth(torch.from_numpy(distance)[None]), 512)[0]
    found = encoded_normals_of_depth(distance, 512)
    assert found.shape == (9, 7, 6) and (found > 0).any()
    assert np.abs(found - expected.permute(1, 2, 0).numpy()).max() < 1e-6
