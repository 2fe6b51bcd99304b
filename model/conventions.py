"""Where the paper's method and the authors' released networks differ (the one home of it).

Both share layers, parts, losses and network units. What a checkpoint's convention decides:

| | `paper` | `released` |
| --- | --- | --- |
| depth of the background | none: the mask head says where the person is | 6 in front, 0 behind |
| silhouette of the full frame | the mask head's | where the front is before the back |
| low-resolution normals that guide the parts | sampled straight into crops | enlarged before |
| predicted points | as they are | divided by 1.0367394227574303 about the origin |
| colours of the image | as they are | brightness, contrast and saturation times 0.85 |

On the low-resolution frame both take the silhouette from the mask head. The heads are
`model.blocks.bounded` in both: its values are those of the released ReLU and ReLU6.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from render.camera import RELEASED_SCALE

Convention = Literal["paper", "released"]
"""`paper`: how this toolkit trains. `released`: what the authors' checkpoint expects."""


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What a convention decides.

    Attributes:
        background: network depth of the background of the front and of the back map, as the
            refiner reads it.
        silhouette_in_depth: the depth networks answer `background` where nobody is, so that the
            person is where the front is before the back; else the mask head says where.
        enlarged_guide: the low-resolution normals are enlarged to the full frame before the
            parts' crops are sampled from them. That cuts the corners between low-resolution
            pixels, which crops sampled straight from them keep.
        point_scale: factor of predicted points about the origin of the normalised frame.
        colour: factor of brightness, contrast and saturation of images to reconstruct.
    """

    background: tuple[float, float]
    silhouette_in_depth: bool
    enlarged_guide: bool
    point_scale: float
    colour: float


RULES: dict[Convention, Rules] = {
    "paper": Rules(
        background=(0.0, 0.0),
        silhouette_in_depth=False,
        enlarged_guide=False,
        point_scale=1.0,
        colour=1.0,
    ),
    "released": Rules(
        background=(6.0, 0.0),
        silhouette_in_depth=True,
        enlarged_guide=True,
        point_scale=1.0 / RELEASED_SCALE,
        # The middle of the range that they drew the factors from in training.
        colour=0.85,
    ),
}
