"""SMPL-X: a scan's parameters become a body, its joints, and how far it is from the scan.

Needs the extra `smplx` and model files, which their makers give to those who ask.
"""

from __future__ import annotations

import contextlib
import io
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from dataset.body_parameters import PCA_HANDS, BodyParameters
from dataset.joints import JOINT_NAMES
from render.errors import ScanError, UserInputError

LARGEST_MISFIT_CM = 5.0
"""Mean distance from body to scan above which parameters are not believed.

Clothes put a body some 1 to 4 cm inside its scan; a body in the wrong place or size is further.
"""

CHECKED_VERTICES = 2000
BETAS, EXPRESSIONS, EXPRESSION_START = 10, 10, 300
MODEL_ARRAYS = (
    "v_template", "shapedirs", "posedirs", "J_regressor", "kintree_table", "weights", "f",
    "lmk_faces_idx", "lmk_bary_coords",
    "hands_componentsl", "hands_componentsr", "hands_meanl", "hands_meanr",
)  # fmt: skip
"""What the package reads of a model file; the rest of it holds pickled objects."""


@dataclass(frozen=True, kw_only=True)
class Body:
    """A posed SMPL-X body, metres, before it is moved and scaled to its scan.

    Attributes:
        vertices: (V, 3) float64.
        joints: (31, 3) float64 in the order of `dataset.joints`.
    """

    vertices: NDArray[np.float64]
    joints: NDArray[np.float64]


def require_smplx() -> None:
    """Raise UserInputError, with the way to get it, where the package is not installed."""
    from importlib.util import find_spec

    if find_spec("smplx") is None:
        raise UserInputError(
            "--body-models: expected the package smplx, found none "
            "(pip install '2k2k-toolkit[smplx]'; for non-commercial research only)"
        )


def pose_body(parameters: BodyParameters, models: Path) -> Body:
    """Return the body that parameters describe.

    Args:
        parameters: pose and shape.
        models: folder with SMPLX_NEUTRAL.npz and so on, or with a folder `smplx` that has them.

    Raises:
        ScanError: the model file is missing or is none.
        UserInputError: the package smplx is missing.
    """
    require_smplx()
    from smplx.joint_names import JOINT_NAMES as MODEL_JOINTS

    uses_pca = len(parameters.vectors["left_hand_pose"]) == PCA_HANDS
    model = _model(_model_file(models, parameters.gender), uses_pca)
    inputs = {
        name: model.v_template.new_tensor(vector)[None]
        for name, vector in parameters.vectors.items()
    }
    with _one_thread():
        output = model(**inputs)
    rows = [MODEL_JOINTS.index(_model_joint(name)) for name in JOINT_NAMES]
    return Body(
        vertices=output.vertices[0].double().numpy(),
        joints=output.joints[0].double().numpy()[rows],
    )


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Keep torch to one thread: several add up in another order, and round otherwise."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def misfit_cm(
    body_points: NDArray[np.floating], scan_points: NDArray[np.floating], unit_cm: float
) -> float:
    """Return the mean distance from a body's vertices to the nearest ones of the scan, cm.

    Args:
        body_points: (B, 3) frame and unit of the scan; some 2000 of them are looked at.
        scan_points: (S, 3).
        unit_cm: length of one unit.
    """
    some = body_points[:: max(1, len(body_points) // CHECKED_VERTICES)]
    distances, _ = cKDTree(scan_points).query(some)
    return float(np.mean(distances)) * unit_cm


def _model_joint(name: str) -> str:
    """Return SMPL-X's name of one of our joints: for fingers the joint after the knuckle."""
    is_finger = name.endswith(("index", "middle", "ring", "pinky"))
    return f"{name}2" if is_finger else name


def _model_file(models: Path, gender: str) -> Path:
    name = f"SMPLX_{gender.upper()}.npz"
    for path in (models / name, models / "smplx" / name):
        if path.is_file():
            return path
    raise ScanError(f"{models}: expected {name} in it or in its folder smplx, found none")


@lru_cache(maxsize=4)
def _model(path: Path, uses_pca: bool) -> Any:
    import smplx

    try:
        # The package unpickles all that a model file holds, and says on the screen how many
        # coefficients it has: it is shown a copy of the plain arrays, and not listened to.
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
            plain = Path(folder) / "SMPLX_PLAIN.npz"
            np.savez(plain, allow_pickle=False, **_plain_arrays(path))
            model = smplx.SMPLX(
                str(plain),
                use_pca=uses_pca,
                num_pca_comps=PCA_HANDS,
                flat_hand_mean=False,
                num_betas=BETAS,
                num_expression_coeffs=EXPRESSIONS,
            )
            return model.requires_grad_(False)
    except Exception as error:  # a damaged model fails anywhere in NumPy, zipfile or smplx
        raise ScanError(
            f"{path}: expected an SMPL-X model file, got {type(error).__name__}: {error}"
        ) from error


def _plain_arrays(path: Path) -> dict[str, NDArray]:
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in MODEL_ARRAYS}
    directions = arrays["shapedirs"]
    if directions.shape[-1] > BETAS + EXPRESSIONS:
        parts = (0, BETAS), (EXPRESSION_START, EXPRESSION_START + EXPRESSIONS)
        arrays["shapedirs"] = np.concatenate([directions[..., a:b] for a, b in parts], axis=-1)
    return arrays
