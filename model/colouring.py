"""A surface gets the colours of its photograph, per vertex and as a texture.

The texture is an atlas of two halves, side by side: the person as the camera sees it, and the
back in the same pixels, as if seen through the body. Every face lies in the half of the side
that it looks to, so that front and back meet along the silhouette without a gap.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import cv2
import numpy as np
import trimesh
from numpy.typing import NDArray

from model.meshing import DepthMaps, pixels_of_points
from render.camera import Camera
from render.compositing import fill_smoothly
from render.mesh import Material, Mesh, area_vectors, area_weighted_normals

BackColours = Literal["mirror", "fill"]
BACK_COLOURS: tuple[BackColours, ...] = get_args(BackColours)

_MARGIN_SHARE = 4e-3
"""Room around the person in the atlas, share of the picture's width: filters reach there."""


@dataclass(frozen=True, kw_only=True)
class ColourConfig:
    """How a surface is coloured.

    Attributes:
        back: what the unseen side shows. "mirror": at every pixel the photograph's colour, so
            a shirt's stripes go round the body (and a face shows on the back of the head);
            "fill": colours carried inwards from the silhouette, so hair covers the back of
            the head.
        texture_size: width and height of the atlas, pixels.
        rim: width of the strip along the silhouette whose colours may be mixed with the
            background's, as a share of the picture's width; they are replaced by those
            further inside.
        seam: width of the strip over which the back blends into the front, likewise.
    """

    back: BackColours = "mirror"
    texture_size: int = 2048
    rim: float = 1.5e-3
    seam: float = 8e-3

    def __post_init__(self) -> None:
        if self.back not in BACK_COLOURS:
            raise ValueError(f"back: expected {' or '.join(BACK_COLOURS)}, got {self.back}")
        if not 16 <= self.texture_size <= 16384:
            raise ValueError(f"texture_size: expected 16 to 16384, got {self.texture_size}")


def colour_mesh(
    surface: trimesh.Trimesh,
    maps: DepthMaps,
    camera: Camera,
    front_image: NDArray[np.uint8],
    config: ColourConfig | None = None,
    back_image: NDArray[np.uint8] | None = None,
    person: NDArray[np.bool_] | None = None,
) -> Mesh:
    """Return the surface with vertex colours and a textured material.

    Args:
        surface: camera frame, normalised units (`model.surfaces.reconstruct_surface`).
        maps: what the surface was made of.
        camera: the camera of the maps.
        front_image: (S, S, 3) uint8 sRGB, the photograph in the frame of the maps, S of any size.
        config: None for the defaults.
        back_image: (S, S, 3) uint8 sRGB, the back seen through the body; None lets
            `config.back` make one.
        person: (R, R) bool where the photograph shows the person, if that is known: where the
            surface reaches beyond it, as predicted silhouettes do, it gets the person's colours
            nearby, not the background's.

    Returns:
        The mesh in the same frame with `vertex_colours`, `uvs`, `uv_faces` and one material.

    Raises:
        ValueError: a picture has another shape, or the mask is empty.
    """
    config = config or ColourConfig()
    for name, image in (("front_image", front_image), ("back_image", back_image)):
        if image is not None and (image.shape != (len(front_image),) * 2 + (3,)):
            raise ValueError(f"{name}: expected (S, S, 3) and one S, got {image.shape}")
    if person is not None and person.shape != maps.mask.shape:
        raise ValueError(f"person: expected {maps.mask.shape}, got {person.shape}")
    layout = _Layout.around(maps.mask, len(front_image), config.texture_size)
    shown = maps.mask if person is None else maps.mask & person
    atlas = _paint(layout, (maps.mask, shown), front_image, back_image, config)
    vertices = np.asarray(surface.vertices, dtype=np.float64)
    faces = np.asarray(surface.faces, dtype=np.int64)
    texels = layout.texels(pixels_of_points(vertices, maps, camera) / camera.resolution)
    towards = vertices if not camera.is_orthographic else np.array([[0.0, 0.0, -1.0]])
    normals = area_weighted_normals(vertices, faces)
    looks_back = (normals * towards).sum(axis=1) > 0.0
    vertex_colours = _sampled(atlas, texels + [layout.half, 0.0] * looks_back[:, None])
    face_vectors = area_vectors(vertices, faces).T
    face_looks_back = (face_vectors * towards[faces[:, 0] if len(towards) > 1 else [0]]).sum(1) > 0
    uvs = np.concatenate([texels, texels + [layout.half, 0.0]]) / config.texture_size
    uvs[:, 1] = 1.0 - uvs[:, 1]
    return Mesh.from_arrays(
        vertices,
        faces,
        uvs=uvs,
        uv_faces=faces + len(vertices) * face_looks_back[:, None],
        vertex_normals=normals,
        vertex_colours=vertex_colours,
        materials=(Material("person", np.ones(3), atlas),),
    )


@dataclass(frozen=True)
class _Layout:
    """Where the picture lies in the atlas.

    Attributes:
        crop: first column and row and end column and row of the picture, pixels of the photograph.
        picture: width and height of the photograph, pixels.
        scale: texels per pixel of the photograph.
        half: width of either half, texels.
        size: width and height of the atlas, texels.
    """

    crop: tuple[int, int, int, int]
    picture: int
    scale: float
    half: int
    size: int

    @classmethod
    def around(cls, mask: NDArray[np.bool_], picture: int, size: int) -> _Layout:
        """Lay out the box around a (R, R) mask with some room for filtering."""
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        if not len(rows):
            raise ValueError("mask: expected a person, got none")
        scale = picture / len(mask)
        margin = max(_MARGIN_SHARE * picture, 2.0)
        ends = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
        low = np.floor(np.array(ends[:2]) * scale - margin).astype(int)
        high = np.ceil(np.array(ends[2:]) * scale + margin).astype(int)
        left, top = np.maximum(low, 0)
        right, bottom = np.minimum(high, picture)
        half = size // 2
        return cls(
            crop=(int(left), int(top), int(right), int(bottom)),
            picture=picture,
            scale=min(half / (right - left), size / (bottom - top)),
            half=half,
            size=size,
        )

    def texels(self, shares: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return (N, 2) texels in the front's half of (N, 2) shares of the picture."""
        return (shares * self.picture - self.crop[:2]) * self.scale

    def drawn(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the (size, half, 3) part of the photograph that a half of the atlas shows."""
        left, top, right, bottom = self.crop
        shape = [max(1, round(self.scale * length)) for length in (right - left, bottom - top)]
        method = cv2.INTER_AREA if self.scale < 1.0 else cv2.INTER_CUBIC
        part = np.ascontiguousarray(image[top:bottom, left:right])
        resized = cv2.resize(part, shape, interpolation=method)
        room = (self.size - shape[1], self.half - shape[0])
        return np.pad(resized, ((0, room[0]), (0, room[1]), (0, 0)), mode="edge")

    def drawn_mask(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return the (size, half) bool mask of the person in a half of the atlas."""
        step = self.picture / len(mask) * self.scale
        # Texel centres are at +0.5, and so are the pixels'.
        shift = [0.5 * step - 0.5 - self.scale * start for start in self.crop[:2]]
        matrix = np.array([[step, 0.0, shift[0]], [0.0, step, shift[1]]])
        drawn = cv2.warpAffine(mask.astype(np.float32), matrix, (self.half, self.size))
        return np.asarray(drawn) > 0.5


def _paint(
    layout: _Layout,
    masks: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    front_image: NDArray[np.uint8],
    back_image: NDArray[np.uint8] | None,
    config: ColourConfig,
) -> NDArray[np.uint8]:
    """Return the (size, size, 3) atlas, filled everywhere, of the surface's and photo's masks."""
    surface, shown = (layout.drawn_mask(mask) for mask in masks)
    distance = _distance_inside(surface)
    unit = layout.scale * layout.picture
    for inside in (_distance_inside(shown) > config.rim * unit, shown, surface):
        if inside.any():
            break
    front = fill_smoothly(layout.drawn(front_image), ~inside)
    seam = config.seam * unit
    if back_image is not None:
        share = np.clip(distance / seam, 0.0, 1.0)[..., None]
        own = fill_smoothly(layout.drawn(back_image), ~inside)
        back = np.rint(front + share * (own.astype(np.float32) - front)).astype(np.uint8)
    elif config.back == "fill":
        back = fill_smoothly(front, distance > seam)
    else:
        back = front
    atlas = np.concatenate([front, back], axis=1)
    return np.pad(atlas, ((0, 0), (0, layout.size - 2 * layout.half), (0, 0)), mode="edge")


def _distance_inside(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return the (H, W) distance to what is not the mask, beyond the picture too, in pixels."""
    padded = np.pad(mask.astype(np.uint8), 1)
    distance = cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(distance[1:-1, 1:-1], dtype=np.float32)


def _sampled(atlas: NDArray[np.uint8], texels: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return (N, 3) uint8 colours at (N, 2) places of the atlas, interpolated."""
    # Of OpenCV's pictures no side may exceed 32,767 pixels.
    width = 1024
    places = np.full((-(-len(texels) // width) * width, 2), 0.5, dtype=np.float32)
    places[: len(texels)] = texels
    x, y = np.moveaxis(places.reshape(-1, width, 2) - np.float32(0.5), 2, 0)
    colours = cv2.remap(atlas, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(colours, dtype=np.uint8).reshape(-1, 3)[: len(texels)]
