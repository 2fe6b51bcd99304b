"""Numbers of a whole shard set: a row in the manner of Table 1, and distributions (Figure 3)."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dataset.shard_inspection import ShardFacts
from dataset.splits import SPLITS

BINS = 12
_BAR = 24
_YES, _SOME, _NO = "yes", "some", "no"


@dataclass(frozen=True, kw_only=True)
class Histogram:
    """How often values fall between edges.

    Attributes:
        title: what was measured, with its unit.
        edges: ends of the bins, one more than counts.
        counts: number of values in each bin.
        median: of all values.
    """

    title: str
    edges: tuple[float, ...]
    counts: tuple[int, ...]
    median: float


@dataclass(frozen=True, kw_only=True)
class SetStatistics:
    """What a set holds.

    Attributes:
        table_row: column -> cell, in the manner of the paper's Table 1.
        splits: split -> subjects and views.
        categories: category -> value -> number of scans, the most frequent first.
        histograms: of sizes, turns and poses.
        unreliable_share: mean share of people's pixels that are marked unreliable.
        joints_inside: share of the known joints that lie on people; None without joints.
        bytes: of all shards.
    """

    table_row: Mapping[str, str]
    splits: Mapping[str, tuple[int, int]]
    categories: Mapping[str, Mapping[str, int]]
    histograms: tuple[Histogram, ...]
    unreliable_share: float
    joints_inside: float | None
    bytes: int

    def summary(self) -> list[str]:
        """Return sentences of the set as a whole."""
        lines = [f"{self.bytes / 1e9:.3g} GB"]
        lines += [
            f"{split}: {subjects} subjects, {views} views"
            for split, (subjects, views) in self.splits.items()
        ]
        lines.append(f"unreliable pixels: {self.unreliable_share:.3%} of the people's")
        if self.joints_inside is not None:
            lines.append(f"joints on the person: {self.joints_inside:.1%}")
        return lines

    def text(self) -> str:
        """Return all of it for a terminal."""
        widths = {name: max(len(name), len(cell)) for name, cell in self.table_row.items()}
        lines = [
            "  ".join(name.ljust(widths[name]) for name in self.table_row).rstrip(),
            "  ".join(cell.ljust(widths[name]) for name, cell in self.table_row.items()).rstrip(),
            *self.summary(),
        ]
        for name, values in self.categories.items():
            most = ", ".join(f"{value} {count}" for value, count in values.items())
            lines.append(f"{name}: {most}")
        for histogram in self.histograms:
            tallest = max(histogram.counts)
            lines.append(f"{histogram.title}: median {histogram.median:.4g}")
            for low, count in zip(histogram.edges, histogram.counts, strict=False):
                lines.append(f"  {low:8.4g}  {'#' * round(_BAR * count / tallest)} {count}")
        return "\n".join(lines)


def set_statistics(facts: Sequence[ShardFacts]) -> SetStatistics:
    """Return the statistics of shards, one or more."""
    known = sum(each.joints_known for each in facts)
    counts: dict[str, Counter[str]] = {}
    for each in facts:
        for name, value in each.categories.items():
            counts.setdefault(name, Counter())[value] += 1
    return SetStatistics(
        table_row=_table_row(facts),
        splits={split: _sizes(facts, split) for split in SPLITS},
        categories={name: dict(counts[name].most_common()) for name in sorted(counts)},
        histograms=_histograms(facts),
        unreliable_share=statistics.fmean(each.unreliable_share for each in facts),
        joints_inside=sum(each.joints_inside for each in facts) / known if known else None,
        bytes=sum(each.bytes for each in facts),
    )


def _sizes(facts: Sequence[ShardFacts], split: str) -> tuple[int, int]:
    own = [each for each in facts if each.split == split]
    return len({each.subject for each in own}), sum(each.views for each in own)


def _table_row(facts: Sequence[ShardFacts]) -> dict[str, str]:
    vertices = [each.vertices for each in facts if each.vertices]

    def share(has: Callable[[ShardFacts], bool]) -> str:
        count = sum(map(has, facts))
        return _YES if count == len(facts) else _SOME if count else _NO

    return {
        "# of subjects": str(len({each.subject for each in facts})),
        "# of frames": str(sum(each.views for each in facts)),
        "# of vertices": f"{statistics.median(vertices):,.0f}" if vertices else "-",
        "RGB": _YES,
        "Mesh": share(lambda each: each.has_mesh),
        "Texture": share(lambda each: each.has_texture),
        "SMPL(-X)": share(lambda each: each.has_body),
        "Keypoint3d": share(lambda each: each.joints_known > 0),
    }


def _histograms(facts: Sequence[ShardFacts]) -> tuple[Histogram, ...]:
    values: dict[str, list[float]] = {
        "height of what is seen (cm)": [each.height_cm for each in facts],
        "share of the picture that shows people (%)": [
            100.0 * share for each in facts for share in each.person_share
        ],
        "turn of the view (degrees)": [yaw for each in facts for yaw in each.yaws_deg],
    }
    for each in facts:
        for name, angle in each.angles_deg.items():
            values.setdefault(f"{name} (degrees)", []).append(angle)
    return tuple(_histogram(title, found) for title, found in values.items())


def _histogram(title: str, values: Sequence[float]) -> Histogram:
    counts, edges = np.histogram(values, bins=min(BINS, max(1, len(set(values)))))
    return Histogram(
        title=title,
        edges=tuple(float(edge) for edge in edges),
        counts=tuple(int(count) for count in counts),
        median=float(np.median(values)),
    )
