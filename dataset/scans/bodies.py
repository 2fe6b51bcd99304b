"""What a scan's body parameters say of how the person stands in the mesh file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from dataset.body_parameters import BodyParameters, read_body_parameters
from render.errors import ScanError

HUMBI_NUMBERS = 86
THUMAN_ROOT_LINES = slice(3, 7)


@dataclass(frozen=True, kw_only=True)
class BodyFacts:
    """What parameters say; directions are (3,) unit vectors in the frame of the mesh file.

    Attributes:
        facing: where the pelvis faces.
        up: the vertical, where it is no axis of the file.
        unit_cm: length of a scan unit, where the parameters hold the person's scale.
        parameters: of SMPL-X, where it is that.
    """

    facing: NDArray[np.float64]
    up: NDArray[np.float64] | None = None
    unit_cm: float | None = None
    parameters: BodyParameters | None = None


def _smplx(path: Path) -> BodyFacts:
    parameters = read_body_parameters(path)
    return BodyFacts(
        facing=parameters.orientation[:, 2],
        unit_cm=None if parameters.scale is None else 100.0 / parameters.scale,
        parameters=parameters,
    )


def _smpl_arrays(path: Path) -> BodyFacts:
    """HuMMan (`global_orient`) and CAPE (`pose`, the root first): npz files of SMPL."""
    try:
        with np.load(path, allow_pickle=False) as file:
            name = "global_orient" if "global_orient" in file else "pose"
            root = np.asarray(file[name], dtype=np.float64).ravel()[:3]
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise ScanError(f"{path}: expected SMPL parameters as npz, got: {error}") from error
    return BodyFacts(facing=_front(path, root))


def _thuman(path: Path) -> BodyFacts:
    """THuman: lines 4 to 7 of the text are the 4 x 4 matrix that places the body."""
    rows = _lines(path)[THUMAN_ROOT_LINES]
    try:
        matrix = np.array([[float(word) for word in row.split()] for row in rows])
    except ValueError as error:
        raise ScanError(f"{path}: expected a matrix in lines 4 to 7, got: {error}") from error
    if matrix.shape != (4, 4) or not np.isfinite(matrix).all() or not matrix[:3, 2].any():
        raise ScanError(f"{path}: expected a 4 x 4 matrix in lines 4 to 7, got {matrix.shape}")
    return BodyFacts(facing=matrix[:3, 2] / np.linalg.norm(matrix[:3, 2]))


def _humbi(path: Path) -> BodyFacts:
    """HUMBI: scale, translation, 72 of pose, 10 of shape; the cameras say where up is."""
    values = _numbers(path, _lines(path))
    if len(values) != HUMBI_NUMBERS or values[0] <= 0.0:
        raise ScanError(
            f"{path}: expected {HUMBI_NUMBERS} numbers, the first a scale above 0, "
            f"got {len(values)}"
        )
    return BodyFacts(
        facing=_front(path, values[4:7]),
        up=_rig_up(path.parents[2] / "extrinsic.txt"),
        unit_cm=100.0 / float(values[0]),
    )


def _rig_up(path: Path) -> NDArray[np.float64]:
    """Return the mean of the cameras' upward axes; around a ring their tilts cancel.

    Three header lines, then for every camera a line that names it, its centre, and the three
    rows of its rotation, whose second is the camera's downward axis.
    """
    blocks = _lines(path)[3:]
    rows = [_numbers(path, [line]) for line in blocks[3::5]]
    if not rows or any(len(row) != 3 for row in rows) or len(blocks) % 5:
        raise ScanError(f"{path}: expected five lines for every camera after the first three")
    up = -np.mean(rows, axis=0)
    if np.linalg.norm(up) < 0.5:
        raise ScanError(f"{path}: expected cameras that agree on what is up, got none such")
    return up / np.linalg.norm(up)


def _lines(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise ScanError(f"{path}: expected a readable file, got: {error.strerror}") from error
    return [line for line in text.splitlines() if line.strip()]


def _numbers(path: Path, lines: list[str]) -> NDArray[np.float64]:
    try:
        values = np.array([float(word) for line in lines for word in line.split()])
    except ValueError as error:
        raise ScanError(f"{path}: expected numbers, got: {error}") from error
    if not np.isfinite(values).all():
        raise ScanError(f"{path}: expected finite numbers, got NaN or infinity")
    return values


def _front(path: Path, rotation_vector: NDArray[np.float64]) -> NDArray[np.float64]:
    if rotation_vector.shape != (3,) or not np.isfinite(rotation_vector).all():
        raise ScanError(f"{path}: expected a root rotation of 3 finite numbers, got none such")
    return Rotation.from_rotvec(rotation_vector).as_matrix()[:, 2]


READERS: dict[str, Callable[[Path], BodyFacts]] = {
    "smplx": _smplx,
    "smpl arrays": _smpl_arrays,
    "thuman": _thuman,
    "humbi": _humbi,
}
