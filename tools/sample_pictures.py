"""Pictures of one sample: the input, the scan, and what each method made of it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dataset.shards import ShardError, ShardReader
from eval.normal_maps import TwoSidedNormals
from eval.pictures import (
    MAP_TITLES,
    Crop,
    SamplePictures,
    SidePictures,
    crop_around,
    cropped,
    depth_picture,
    normals_picture,
    surface_pictures,
)
from eval.scorer import SurfaceViews
from model.meshing import DepthMaps
from tools.baselines import person_mask, true_maps

PICTURE_CELL = 384
SCAN_NAME = "Scan"


class Painter:
    """Draws one sample: the same crops and the same depth range for every row."""

    def __init__(
        self,
        reader: ShardReader,
        view: int,
        scan_views: SurfaceViews,
        to_normalised: NDArray[np.floating],
    ) -> None:
        """Read what the sample's rows share.

        Args:
            reader: the shard.
            view: the view.
            scan_views: the scan from four sides.
            to_normalised: (4, 4), from the scan frame in cm to the normalised frame.

        Raises:
            ShardError: the view has no person pixels.
        """
        self._image = reader.read("image/front", view)
        self._normals = TwoSidedNormals(
            reader.read("normal/front", view),
            reader.read("normal/back", view),
            person_mask(reader, view),
        )
        self._maps = true_maps(reader, view)
        self._views = scan_views
        self._cm_per_unit = 1.0 / float(np.cbrt(np.linalg.det(to_normalised[:3, :3])))
        self._crop = crop_around(self._maps.mask)
        self._turn_crop = crop_around(scan_views.sides.masks)
        mask = self._maps.mask
        if not mask.any():
            raise ShardError(f"{reader.path}: expected person pixels in view {view}, found none")
        depths = [self._depth_cm(side)[mask] for side in (self._maps.front, self._maps.back)]
        self._range = float(depths[0].min()), float(depths[1].max())

    def _depth_cm(self, ray_distance: NDArray[np.floating]) -> NDArray[np.float64]:
        return (np.asarray(ray_distance, dtype=np.float64) - 1.0) * self._cm_per_unit

    def side(
        self, name: str, maps: DepthMaps, normals: TwoSidedNormals, views: SurfaceViews
    ) -> SidePictures:
        """Return the row of pictures of one method or of the scan."""
        maps_of_view = (
            normals_picture(normals.front, normals.mask),
            normals_picture(normals.back, normals.mask, is_back=True),
            depth_picture(self._depth_cm(maps.front), maps.mask, *self._range),
            depth_picture(self._depth_cm(maps.back), maps.mask, *self._range),
        )
        cells = {
            title: cropped(picture, self._crop, PICTURE_CELL)
            for title, picture in zip(MAP_TITLES, maps_of_view, strict=True)
        }
        return SidePictures(name, cells | surface_pictures(views, self._turn_crop, PICTURE_CELL))

    def sample(self, methods: tuple[SidePictures, ...]) -> SamplePictures:
        """Return all pictures of the sample."""
        return SamplePictures(
            image=cropped(self._image, Crop(0.0, 0.0, 1.0), PICTURE_CELL),
            scan=self.side(SCAN_NAME, self._maps, self._normals, self._views),
            methods=methods,
            depth_range_cm=self._range,
        )
