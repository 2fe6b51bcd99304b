"""The naked base body of the demo people as plain arrays, taken from the `anny` model.

`anny` (Apache-2.0, body data CC0) gives metres, z up, facing -y; everything here is in the
scan frame (x to the person's left, y up, facing +z). Eye sockets, mouth and feet are cut
out: sockets and mouth are capped, feet are replaced by shoes (`shoes.py`), so that the body
is one closed surface.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dataset.joints import JOINT_NAMES
from dataset.people.capping import Caps
from dataset.people.shoes import ShoeLayout, shoe_layout
from render.errors import UserInputError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

CANONICAL_PHENOTYPE = {
    "gender": 0.5,
    "age": 0.67,
    "muscle": 0.5,
    "weight": 0.4,
    "height": 0.5,
    "proportions": 0.6,
}
PHENOTYPE_LABELS: tuple[str, ...] = tuple(CANONICAL_PHENOTYPE)

_EYE_UV_CENTRES = {"left": (0.118, 0.59), "right": (0.044, 0.59)}
_MOUTH_UV_CENTRE = (0.84, 0.075)
_CAVITY_PROBES = {
    "mouth": (0.84, 0.075),
    "right_eye": (0.044, 0.59),
    "left_eye": (0.118, 0.59),
    "right_foot": (0.107, 0.08),
    "left_foot": (0.282, 0.08),
}
_BONE_JOINTS = {
    "shoulder": "upperarm01",
    "elbow": "lowerarm01",
    "wrist": "wrist",
    "hip": "upperleg01",
    "knee": "lowerleg01",
    "ankle": "foot",
    "index": "finger2-2",
    "middle": "finger3-2",
    "ring": "finger4-2",
    "pinky": "finger5-2",
}


class BodyModelError(UserInputError):
    """The body model is not available."""


@dataclass(frozen=True, kw_only=True)
class BodyTemplate:
    """The base body, in the scan frame, metres.

    Attributes:
        template: (A, 3) float64, anny's template vertices, A = 13,718.
        blendshapes: (K, A, 3) float64.
        bone_heads: (B, 3) float64 and bone_head_blendshapes: (K, B, 3) float64.
        bone_names, bone_parents: B names and parent indices (-1 at the root).
        bone_weights: (A, B) float64, rows sum to 1.
        cap_rows: (C, A) scipy CSR, cap vertices as weighted sums of anny's vertices.
        faces, uv_faces: (F, 3) int64 into [anny, caps, left shoe, right shoe] vertices and uvs.
        uvs: (T, 2) float64, origin bottom-left.
        shoes: the layouts of the left and the right shoe.
        lip_loop: (L,) int64, anny vertices where the lips meet.
        eye_ramp: (A + C,) float64, 0 on the skin, 1 at the middle of an eye.
        keypoint_rows: (J, A) scipy CSR, surface joints (nose .. heels) by `surface_joints`.
    """

    template: FloatArray
    blendshapes: FloatArray
    bone_heads: FloatArray
    bone_head_blendshapes: FloatArray
    bone_names: tuple[str, ...]
    bone_parents: tuple[int, ...]
    bone_weights: FloatArray
    cap_rows: Any
    faces: IntArray
    uv_faces: IntArray
    uvs: FloatArray
    shoes: tuple[ShoeLayout, ShoeLayout]
    lip_loop: IntArray
    eye_ramp: FloatArray
    keypoint_rows: Any
    surface_joints: tuple[str, ...]

    def bone(self, name: str) -> int:
        """Return the index of a bone."""
        return self.bone_names.index(name)


@dataclass(frozen=True, kw_only=True)
class RestShape:
    """One phenotype in anny's rest pose: vertices (A, 3) and bone heads (B, 3), metres."""

    vertices: FloatArray
    bone_heads: FloatArray


def load_anny() -> Any:
    """Load the anny model; the first load on a machine takes a minute or two, then it is cached.

    Returns:
        An `anny.Anny` model with 104 bones, float64, on the CPU.

    Raises:
        BodyModelError: anny is not installed.
    """
    try:
        import anny
    except ModuleNotFoundError as error:
        raise BodyModelError(
            "demo people: expected the package anny, found no module "
            f'{error.name}; install it with: pip install "2k2k-toolkit[people]"'
        ) from error
    return anny.Anny(skinning_method="lbs")


def to_scan_axes(values: FloatArray) -> FloatArray:
    """Turn (..., 3) values from z up, facing -y, to y up, facing +z."""
    return np.stack([values[..., 0], values[..., 2], -values[..., 1]], axis=-1)


def phenotype_coefficients(model: Any, phenotype: dict[str, float]) -> FloatArray:
    """Return the (K,) blend-shape coefficients of a phenotype (values 0..1 by label)."""
    import torch

    values = {name: torch.tensor([value], dtype=torch.float64) for name, value in phenotype.items()}
    with torch.no_grad():
        row = model.get_phenotype_blendshape_coefficients(**values)
    # Rounding keeps the last bits, which depend on the machine's threads, out of the files.
    return np.round(row[0].numpy().astype(np.float64), 10)


def rest_shape(body: BodyTemplate, coefficients: FloatArray) -> RestShape:
    """Apply (K,) blend-shape coefficients; einsum adds in a fixed order on every machine."""
    vertices = body.template + np.einsum("k,kvi->vi", coefficients, body.blendshapes)
    heads = body.bone_heads + np.einsum("k,kvi->vi", coefficients, body.bone_head_blendshapes)
    return RestShape(vertices=vertices, bone_heads=heads)


def build_template(model: Any) -> BodyTemplate:
    """Turn an anny model into a `BodyTemplate`: cut cavities and feet, cap them, lay out shoes."""
    from scipy.sparse import csr_matrix

    faces, uv_faces, uvs = _triangles(model)
    vertices = to_scan_axes(_array(model, "template_vertices"))
    islands = _uv_islands(uv_faces, len(uvs))
    parts = {name: _island_near(uv_faces, uvs, islands, p) for name, p in _CAVITY_PROBES.items()}
    body_faces = _largest_component(faces, len(vertices))
    feet = {side: faces[parts[f"{side}_foot"]] for side in ("left", "right")}
    kept = body_faces & ~np.any(list(parts.values()), axis=0)
    faces, uv_faces = faces[kept], uv_faces[kept]
    loops = _boundary_loops(faces)
    caps = Caps(vertices, uvs, faces, uv_faces)
    caps.add_fan(_loop_near(loops, vertices, parts["mouth"], model), _MOUTH_UV_CENTRE)
    lip_loop = caps.last_loop
    for side in ("left", "right"):
        loop = _loop_near(loops, vertices, parts[f"{side}_eye"], model)
        caps.add_eye(loop, _eyeball(model, vertices, side), _EYE_UV_CENTRES[side])
    offset = len(vertices) + len(caps.rows)
    shoes = []
    for side in ("left", "right"):
        loop = _loop_near(loops, vertices, parts[f"{side}_foot"], model)
        layout = shoe_layout(
            side=side,
            loop=loop,
            foot_faces=feet[side],
            first_vertex=offset,
            first_uv=len(caps.uvs),
            uv_centre=_CAVITY_PROBES[f"{side}_foot"],
        )
        caps.append(layout.faces, layout.uv_faces, layout.uvs)
        offset += layout.vertex_count
        shoes.append(layout)
    rows, columns, values = caps.sparse_rows()
    keypoints, surface_joints = _keypoint_rows(model)
    labels = list(model.bone_labels)
    return BodyTemplate(
        template=vertices,
        blendshapes=to_scan_axes(_array(model, "blendshapes")),
        bone_heads=to_scan_axes(_array(model, "template_bone_heads")),
        bone_head_blendshapes=to_scan_axes(_array(model, "bone_heads_blendshapes")),
        bone_names=tuple(labels),
        bone_parents=tuple(int(p) for p in model.bone_parents),
        bone_weights=_dense_weights(model, len(labels)),
        cap_rows=csr_matrix((values, (rows, columns)), shape=(len(caps.rows), len(vertices))),
        faces=np.concatenate(caps.faces),
        uv_faces=np.concatenate(caps.uv_faces),
        uvs=caps.uvs,
        shoes=(shoes[0], shoes[1]),
        lip_loop=lip_loop,
        eye_ramp=np.concatenate([np.zeros(len(vertices)), np.array(caps.ramps)]),
        keypoint_rows=keypoints,
        surface_joints=surface_joints,
    )


def _array(model: Any, name: str) -> FloatArray:
    return np.asarray(getattr(model, name).numpy(), dtype=np.float64)


def _triangles(model: Any) -> tuple[IntArray, IntArray, FloatArray]:
    faces = model.faces.numpy().astype(np.int64)
    uv_faces = model.face_texture_coordinate_indices.numpy()
    return faces, uv_faces.astype(np.int64), _array(model, "texture_coordinates")


def _components(edges: IntArray, count: int) -> IntArray:
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    graph = coo_matrix((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), shape=(count, count))
    return connected_components(graph, directed=False)[1].astype(np.int64)


def _uv_islands(uv_faces: IntArray, count: int) -> IntArray:
    return _components(np.concatenate([uv_faces[:, :2], uv_faces[:, 1:]]), count)[uv_faces[:, 0]]


def _largest_component(faces: IntArray, count: int) -> NDArray[np.bool_]:
    labels = _components(np.concatenate([faces[:, :2], faces[:, 1:]]), count)[faces[:, 0]]
    return labels == np.bincount(labels).argmax()


def _island_near(
    uv_faces: IntArray, uvs: FloatArray, islands: IntArray, probe: tuple[float, float]
) -> NDArray[np.bool_]:
    distance = np.linalg.norm(uvs[uv_faces].mean(axis=1) - probe, axis=1)
    return islands == islands[distance.argmin()]


def _boundary_loops(faces: IntArray) -> list[IntArray]:
    """Return the boundary loops as vertex indices in the direction of the faces' own edges."""
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    present = {(int(a), int(b)) for a, b in edges}
    follow = {a: b for a, b in present if (b, a) not in present}
    loops = []
    while follow:
        start, onward = follow.popitem()
        loop = [start]
        while onward != start:
            loop.append(onward)
            onward = follow.pop(onward)
        loops.append(np.array(loop))
    return loops


def _loop_near(
    loops: list[IntArray], vertices: FloatArray, part: NDArray[np.bool_], model: Any
) -> IntArray:
    """Return the loop all of whose vertices belong to a part that was cut out."""
    members = np.unique(_triangles(model)[0][part])
    for loop in loops:
        if np.isin(loop, members).all():
            start = int(np.lexsort((vertices[loop, 0], -vertices[loop, 2]))[0])
            return np.roll(loop, -start)
    raise RuntimeError("the body model has no such boundary; its version differs")


def _eyeball(model: Any, vertices: FloatArray, side: str) -> IntArray:
    faces = _triangles(model)[0]
    labels = _components(np.concatenate([faces[:, :2], faces[:, 1:]]), len(vertices))
    sign = 1.0 if side == "left" else -1.0
    groups = [np.flatnonzero(labels == k) for k in np.flatnonzero(np.bincount(labels) == 72)]
    return next(g for g in groups if sign * vertices[g, 0].mean() > 0)


def _dense_weights(model: Any, bone_count: int) -> FloatArray:
    indices = model.vertex_bone_indices.numpy()
    values = _array(model, "vertex_bone_weights")
    dense = np.zeros((len(values), bone_count))
    np.add.at(dense, (np.arange(len(values))[:, None], indices), values)
    return dense / dense.sum(axis=1, keepdims=True)


def _keypoint_rows(model: Any) -> tuple[Any, tuple[str, ...]]:
    import anny
    from scipy.sparse import csr_matrix

    names = tuple(n for n in JOINT_NAMES if n.partition("_")[2] not in _BONE_JOINTS)
    regressor = anny.KeypointsRegressor.coco(model, labels=list(names))
    return csr_matrix(regressor.regression_weights.numpy().astype(np.float64)), names


def bone_of_joint(name: str) -> str | None:
    """Return the bone whose head is a joint of ours, or None for a joint on the surface."""
    side, _, rest = name.partition("_")
    bone = _BONE_JOINTS.get(rest)
    return None if bone is None else f"{bone}.{side[0].upper()}"
