"""eval-2k2k: reconstructs views of a shard set and scores them against their scans."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from eval.metrics import DEFAULT_METRICS, METRIC_NAMES
from render.errors import UserInputError
from tools.cli import EXIT_OK, make_output_folder, new_parser, run_command
from tools.eval_reports import (
    RESULT_FILES,
    check_measurement,
    check_results_folder,
    publish,
    score_config,
    versions,
)

if TYPE_CHECKING:
    from dataset.shards import ShardSet, ViewRef
    from eval.report import EarlierReport
    from model.checkpoint import LoadedModel
    from tools.scoring import Reconstruct

LATEST_RUN = Path("runs") / "latest"
NETWORK_NAME = "2K2K"
OVERVIEW_ROWS = 3
MEASUREMENT_FLAGS = (
    *("metrics", "samples", "voxels", "normal-resolution"),
    *("timing-runs", "scale", "align", "limit", "views"),
)


def build_parser() -> argparse.ArgumentParser:
    """Return the command line."""
    parser = new_parser(
        "eval-2k2k",
        "Reconstruct the test split with a trained network and score it against the scans; or, "
        "with --pred and --gt, score the meshes of any methods.",
    )
    _add_shard_flags(parser)
    _add_mesh_flags(parser)
    add_measurement_flags(parser)
    _add_output_flags(parser)
    return parser


def _add_shard_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--shards", type=Path, help="shard set to score on (default: the one it was trained on)"
    )
    parser.add_argument(
        "--checkpoint",
        type=Path,
        default=LATEST_RUN,
        metavar="PATH",
        help="checkpoint file or run folder",
    )
    parser.add_argument(
        "--split", choices=("train", "val", "test"), default="test", help="which scans to score"
    )
    parser.add_argument(
        "--baselines",
        action="store_true",
        help="score a flat card and an inflated silhouette too (needs the training scans: "
        "render-dataset --store-mesh all)",
    )
    parser.add_argument("--device", default="auto", help="cpu, cuda, mps or auto")


def _add_mesh_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--pred", type=Path, nargs="+", metavar="DIR", help="meshes of a method, a folder each"
    )
    parser.add_argument("--gt", type=Path, metavar="DIR", help="the scans of --pred")
    parser.add_argument(
        "--method",
        nargs="+",
        metavar="NAME",
        help="whose meshes --pred are, one for each folder: "
        "ours, pifu, pifuhd, pamir, icon, icon-512, econ, 2k2k, or of --method-table "
        "(default: ours, in the frame and unit of the scans)",
    )
    parser.add_argument(
        "--method-table", type=Path, metavar="FILE", help="JSON with further methods"
    )
    parser.add_argument(
        "--frames",
        type=Path,
        metavar="FILE",
        help="JSON with yaw, crop, centre or scale of single predictions",
    )
    parser.add_argument("--unit", help="of the scans: m, cm or mm (default: found out)")


def add_measurement_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags that say what is measured, and how finely: `MEASUREMENT_FLAGS`."""
    parser.add_argument(
        "--metrics",
        nargs="+",
        default=list(DEFAULT_METRICS),
        metavar="NAME",
        help=f"what to measure: {', '.join(METRIC_NAMES)}",
    )
    parser.add_argument(
        "--samples", type=int, default=10_000, metavar="N", help="points per surface and direction"
    )
    parser.add_argument(
        "--voxels", type=int, default=96, metavar="N", help="voxels along a scan's longest side"
    )
    parser.add_argument(
        "--normal-resolution", type=int, default=512, metavar="R", help="rendered normals, pixels"
    )
    parser.add_argument("--limit", type=int, metavar="N", help="score N views, evenly spread")
    parser.add_argument("--views", type=int, nargs="+", metavar="N", help="view numbers to score")
    parser.add_argument(
        "--timing-runs", type=int, default=3, metavar="N", help="warm runs that are timed; 0: none"
    )
    parser.add_argument(
        "--scale",
        default="original",
        help="of lengths: original, or normalised (the scan made 180 cm tall)",
    )
    parser.add_argument(
        "--align",
        default="none",
        help="what is fitted before measuring: none, translation, or icp (with scale and turn)",
    )


def _add_output_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--pictures", type=int, default=12, metavar="N", help="samples shown in the report"
    )
    parser.add_argument(
        "--against", type=Path, metavar="FILE", help="results.json to compare with, view by view"
    )
    parser.add_argument(
        "--out", type=Path, help="folder of the results (default: eval in the run folder)"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace earlier results")
    parser.add_argument("--dry-run", action="store_true", help="say what would be scored, and stop")


def results_folder(requested: Path | None, checkpoint: Path) -> Path:
    """Return where results go: `--out`, else `eval` in the run folder, else eval-results."""
    if requested is not None:
        return requested
    if not (checkpoint.parent / "config.json").is_file():
        return Path("eval-results")
    # `runs/latest` will point elsewhere one day; the results belong to the run itself.
    folder = checkpoint.parent.resolve() / "eval"
    here = Path.cwd().resolve()
    return folder.relative_to(here) if folder.is_relative_to(here) else folder


def choose_views(
    shards: ShardSet, split: str, numbers: Sequence[int] | None, limit: int | None
) -> list[ViewRef]:
    """Return the views to score.

    Raises:
        UserInputError: none is left.
    """
    from tools.baselines import spread

    if limit is not None and limit < 1:
        raise UserInputError(f"--limit: expected at least 1 view, got {limit}")
    views = shards.views(split)
    if not views:
        raise UserInputError(f"{shards.root}: expected scans in the {split} split, found none")
    if numbers is not None:
        known = sorted({ref.view for ref in views})
        wrong = [number for number in numbers if number not in known]
        if wrong:
            raise UserInputError(
                f"--views: expected numbers out of {known[0]}..{known[-1]}, got {wrong[0]}"
            )
        views = [ref for ref in views if ref.view in numbers]
    return spread(views, limit) if limit is not None else views


def choose_device(requested: str) -> str:
    """Return the torch device to run on.

    Raises:
        UserInputError: there is no such device.
    """
    import torch

    if requested == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(1, device=torch.device(requested))
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserInputError(
            f"--device: expected cpu, cuda, mps or auto on this machine, got {requested!r} "
            f"({reason})"
        ) from error
    return requested


def overview_views(shards: ShardSet, views: Sequence[ViewRef]) -> list[ViewRef]:
    """Return the most frontal view of each of the first few subjects."""
    from dataset.shards import ShardError

    chosen: dict[str, tuple[float, ViewRef]] = {}
    for ref in views:
        if len(chosen) == OVERVIEW_ROWS and ref.subject not in chosen:
            continue
        try:
            with shards.open(ref.scan_id) as reader:
                turn = abs(reader.yaw_deg(ref.view))
        except ShardError:
            continue  # a bad shard is listed when it is scored
        if ref.subject not in chosen or turn < chosen[ref.subject][0]:
            chosen[ref.subject] = (turn, ref)
    return [ref for _, ref in chosen.values()]


def evaluate(
    shards: ShardSet,
    methods: dict[str, Reconstruct],
    views: Sequence[ViewRef],
    out: Path,
    arguments: argparse.Namespace,
    source: dict[str, str],
    earlier: EarlierReport | None,
) -> int:
    """Score methods on views, write the report into a folder, print the table.

    Args:
        shards: where the views are.
        methods: name -> what reconstructs; the first one is shown in the overview picture.
        views: what to score.
        out: folder of the results.
        arguments: of the command line.
        source: where data and weights came from, for the report.
        earlier: another report, to compare with.

    Returns:
        The exit status.
    """
    from tqdm import tqdm

    from tools.baselines import spread
    from tools.costs import measure_costs
    from tools.scoring import Scorer

    costs = measure_costs(shards, methods, views, source["device"], arguments.timing_runs)
    pictured = spread(views, arguments.pictures) if arguments.pictures > 0 else []
    with (
        Scorer(shards, methods, score_config(arguments)) as scorer,
        tqdm(total=len(views), desc="scoring", unit="view") as bar,
    ):
        scored = scorer.score(
            views, source, pictured, overview_views(shards, views), lambda: bar.update(1)
        )
    results = replace(scored.results, costs=costs)
    return publish(out, results, scored.packed, scored.overview, earlier)


def _shards_of(requested: Path | None, loaded: LoadedModel, checkpoint: Path) -> ShardSet:
    from dataset.shards import ShardSet

    if requested is not None:
        return ShardSet(requested)
    if not loaded.shards:
        raise UserInputError(
            f"--shards: expected the shard set to score on, since {checkpoint} was not trained on "
            "one of this toolkit, got none"
        )
    if not Path(loaded.shards).is_dir():
        raise UserInputError(
            f"--shards: expected the shard set that {checkpoint} was trained on, "
            f"found no folder {loaded.shards} (give --shards)"
        )
    return ShardSet(Path(loaded.shards))


def _run(arguments: argparse.Namespace) -> int:
    earlier = check_measurement(arguments)
    if arguments.pred is not None or arguments.gt is not None:
        from tools.eval_meshes import run_meshes

        return run_meshes(arguments, earlier)
    from model.checkpoint import find_checkpoint, load_checkpoint

    checkpoint = find_checkpoint(arguments.checkpoint, "--checkpoint")
    out = results_folder(arguments.out, checkpoint)
    check_results_folder(out, arguments.overwrite)

    from dataset.shards import require_standard_views
    from model.predict import Predictor
    from model.view_files import reduction_factor
    from tools.baselines import fit_baselines
    from tools.scoring import baseline_methods, network_method

    loaded = load_checkpoint(checkpoint)
    shards = _shards_of(arguments.shards, loaded, checkpoint)
    require_standard_views(shards)
    reduction_factor(shards.resolution, loaded.config.model.resolution)
    views = choose_views(shards, arguments.split, arguments.views, arguments.limit)
    device = choose_device(arguments.device)
    source = {
        "checkpoint": str(checkpoint),
        "shards": str(shards.root),
        "split": arguments.split,
        "device": device,
        "versions": versions(),
    }
    print(
        f"{checkpoint}: scoring {len(views)} views of "
        f"{len({ref.scan_id for ref in views})} scans ({arguments.split} split of {shards.root})",
        flush=True,
    )
    if arguments.dry_run:
        print(f"Would write {', '.join(RESULT_FILES)} into {out}")
        return EXIT_OK
    make_output_folder(out)
    predictor = Predictor(loaded, device)
    methods = {NETWORK_NAME: network_method(predictor)}
    if arguments.baselines:
        print("Fitting the baselines on the training split ...", flush=True)
        baselines = fit_baselines(shards)
        source["baselines"] = baselines.describe()
        methods |= baseline_methods(baselines, predictor.resolution)
    return evaluate(shards, methods, views, out, arguments, source, earlier)


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    return run_command(build_parser(), _run, argv)


if __name__ == "__main__":
    raise SystemExit(main())
