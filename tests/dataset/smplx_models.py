"""A model file of SMPL-X in its real format, with made-up content, and parameters for it.

The file has the names, shapes and types of `SMPLX_NEUTRAL.npz` of version 1.1. Its body is small
balls around joints whose places are known, so that what a pose does can be worked out by hand.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

VERTICES, JOINTS = 10475, 55

PARENTS = (
    -1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 15, 15, 15,
    20, 25, 26, 20, 28, 29, 20, 31, 32, 20, 34, 35, 20, 37, 38,
    21, 40, 41, 21, 43, 44, 21, 46, 47, 21, 49, 50, 21, 52, 53,
)  # fmt: skip

# Metres, of a person in a T-pose whose pelvis is 0.35 m below the origin, facing +z.
PLACES: dict[int, tuple[float, float, float]] = {
    0: (0.0, -0.35, 0.0), 1: (0.1, -0.45, 0.0), 2: (-0.1, -0.45, 0.0), 3: (0.0, -0.2, 0.0),
    4: (0.1, -0.85, 0.0), 5: (-0.1, -0.85, 0.0), 6: (0.0, -0.1, 0.0), 7: (0.1, -1.25, 0.0),
    8: (-0.1, -1.25, 0.0), 9: (0.0, 0.0, 0.0), 10: (0.1, -1.3, 0.12), 11: (-0.1, -1.3, 0.12),
    12: (0.0, 0.15, 0.0), 13: (0.06, 0.1, 0.0), 14: (-0.06, 0.1, 0.0), 15: (0.0, 0.25, 0.02),
    16: (0.18, 0.1, 0.0), 17: (-0.18, 0.1, 0.0), 18: (0.44, 0.1, 0.0), 19: (-0.44, 0.1, 0.0),
    20: (0.69, 0.1, 0.0), 21: (-0.69, 0.1, 0.0), 22: (0.0, 0.22, 0.05), 23: (0.03, 0.3, 0.08),
    24: (-0.03, 0.3, 0.08),
}  # fmt: skip


def places() -> NDArray[np.float64]:
    """Return (55, 3) joints at rest; fingers go out from the wrists, one after the other."""
    result = np.zeros((JOINTS, 3))
    for joint, place in PLACES.items():
        result[joint] = place
    for joint in range(25, JOINTS):
        side, number = divmod(joint - 25, 15)
        finger, bone = divmod(number, 3)
        sign = 1.0 if side == 0 else -1.0
        result[joint] = (sign * (0.78 + 0.03 * bone), 0.1, 0.04 - 0.02 * finger)
    return result


def model_arrays(seed: int = 0) -> dict[str, Any]:
    """Return the arrays of a model file; the vertices of a joint have their mean at it."""
    rng = np.random.default_rng(seed)
    owner = np.arange(VERTICES) % JOINTS
    regressor = np.zeros((JOINTS, VERTICES))
    regressor[owner, np.arange(VERTICES)] = 1.0
    regressor /= regressor.sum(axis=1, keepdims=True)
    balls = rng.normal(scale=0.02, size=(VERTICES, 3))
    weights = np.zeros((VERTICES, JOINTS))
    weights[np.arange(VERTICES), owner] = 1.0
    shapes = np.zeros((VERTICES, 3, 400), np.float32)
    shapes[:, 1, 0], shapes[:, 2, 300] = 0.01, 0.02
    components = np.linalg.qr(rng.normal(size=(45, 45)))[0]
    return {
        "v_template": places()[owner] + balls - (regressor @ balls)[owner],
        "shapedirs": shapes,
        "posedirs": np.zeros((VERTICES, 3, 486), np.float32),
        "J_regressor": regressor,
        "kintree_table": np.array([PARENTS, range(JOINTS)]).astype(np.uint32),
        "weights": weights,
        "f": rng.integers(0, VERTICES, (20908, 3)).astype(np.uint32),
        "lmk_faces_idx": np.arange(51),
        "lmk_bary_coords": np.full((51, 3), 1.0 / 3.0),
        "hands_componentsl": components,
        "hands_componentsr": components,
        "hands_meanl": np.zeros(45),
        "hands_meanr": np.zeros(45),
    }


def write_models(folder: Path, **more: object) -> Path:
    """Write the neutral and the male model into a folder `smplx` below one; returns the latter."""
    (folder / "smplx").mkdir(parents=True)
    arrays = model_arrays() | more
    for gender in ("NEUTRAL", "MALE"):
        np.savez_compressed(folder / "smplx" / f"SMPLX_{gender}.npz", **arrays)
    return folder


def parameters(hand: int, **changed: object) -> dict[str, Any]:
    """Return the parameters of a body at rest, as the files of the scan sets hold them."""
    sizes = {
        "betas": 10, "expression": 10, "global_orient": 3, "body_pose": 63, "jaw_pose": 3,
        "leye_pose": 3, "reye_pose": 3, "left_hand_pose": hand, "right_hand_pose": hand,
    }  # fmt: skip
    return {name: np.zeros((1, size), np.float32) for name, size in sizes.items()} | changed


def write_pickle(path: Path, content: object) -> Path:
    """Write a pickle as the scan sets' are: of protocol 3, by a NumPy before version 2."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = pickle.dumps(content, protocol=3)
    path.write_bytes(data.replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n"))
    return path
