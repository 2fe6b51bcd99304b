"""Pictures of one sample: the input, the scan, and what each method made of it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dataset.shards import ShardError, ShardReader
from eval.normal_maps import NormalViews, TwoSidedNormals
from eval.pictures import (
    Crop,
    SamplePictures,
    SidePictures,
    crop_around,
    cropped,
    depth_picture,
    normals_picture,
    turn_pictures,
)
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
        scan_views: NormalViews,
        to_normalised: NDArray[np.floating],
    ) -> None:
        """Read what the sample's rows share.

        Args:
            reader: the shard.
            view: the view.
            scan_views: the scan's normals from four sides.
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
        self._turn_crop = crop_around(scan_views.masks)
        mask = self._maps.mask
        if not mask.any():
            raise ShardError(f"{reader.path}: expected person pixels in view {view}, found none")
        depths = [self._depth_cm(side)[mask] for side in (self._maps.front, self._maps.back)]
        self._range = float(depths[0].min()), float(depths[1].max())

    def _depth_cm(self, ray_distance: NDArray[np.floating]) -> NDArray[np.float64]:
        return (np.asarray(ray_distance, dtype=np.float64) - 1.0) * self._cm_per_unit

    def side(
        self, name: str, maps: DepthMaps, normals: TwoSidedNormals, views: NormalViews
    ) -> SidePictures:
        """Return the row of pictures of one method or of the scan."""

        def depth(ray_distance: NDArray[np.floating]) -> NDArray[np.uint8]:
            picture = depth_picture(self._depth_cm(ray_distance), maps.mask, *self._range)
            return cropped(picture, self._crop, PICTURE_CELL)

        def normal(values: NDArray[np.floating], is_back: bool) -> NDArray[np.uint8]:
            picture = normals_picture(values, normals.mask, is_back)
            return cropped(picture, self._crop, PICTURE_CELL)

        return SidePictures(
            name=name,
            normal_front=normal(normals.front, False),
            normal_back=normal(normals.back, True),
            depth_front=depth(maps.front),
            depth_back=depth(maps.back),
            turns=turn_pictures(views, self._turn_crop, PICTURE_CELL),
        )

    def sample(self, methods: tuple[SidePictures, ...]) -> SamplePictures:
        """Return all pictures of the sample."""
        return SamplePictures(
            image=cropped(self._image, Crop(0.0, 0.0, 1.0), PICTURE_CELL),
            scan=self.side(SCAN_NAME, self._maps, self._normals, self._views),
            methods=methods,
            depth_range_cm=self._range,
        )
