"""eval-2k2k --pred DIR --gt DIR: the meshes of any methods against scans."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from render.errors import UserInputError
from tools.cli import EXIT_OK, make_output_folder
from tools.eval_reports import (
    RESULT_FILES,
    check_results_folder,
    publish,
    score_config,
    versions,
)

if TYPE_CHECKING:
    from eval.report import EarlierReport
    from tools.mesh_scoring import MeshSet, MethodFolder

DEFAULT_OUT = Path("eval-results")
DEFAULT_METHOD = "ours"


def method_folders(arguments: argparse.Namespace) -> list[MethodFolder]:
    """Return the methods of the command line, with names that differ.

    Raises:
        UserInputError: an unknown method, or not one for each folder.
    """
    from eval.output_files import read_conventions
    from eval.outputs import CONVENTIONS
    from tools.mesh_scoring import MethodFolder

    known = dict(CONVENTIONS)
    if arguments.method_table is not None:
        known |= read_conventions(arguments.method_table)
    names = arguments.method or [DEFAULT_METHOD] * len(arguments.pred)
    if len(names) != len(arguments.pred):
        raise UserInputError(
            f"--method: expected one for each of the {len(arguments.pred)} folders of --pred, "
            f"got {len(names)}"
        )
    unknown = [name for name in names if name not in known]
    if unknown:
        raise UserInputError(
            f"--method: expected names out of {', '.join(known)}, got {unknown[0]!r}"
        )
    shown: list[str] = []
    for name, folder in zip(names, arguments.pred):
        title = name if names.count(name) == 1 else f"{name} ({folder.name})"
        while title in shown:
            title += "'"
        shown.append(title)
    return [
        MethodFolder(title, folder, known[name])
        for title, name, folder in zip(shown, names, arguments.pred)
    ]


def run_meshes(arguments: argparse.Namespace, earlier: EarlierReport | None) -> int:
    """Score meshes as the command line says; return the exit status.

    Args:
        arguments: of the command line.
        earlier: another report, to compare with.

    Raises:
        UserInputError: something given is not usable.
    """
    from dataset.scans.scan import CM_PER_UNIT
    from eval.metrics import MAP_METRICS
    from eval.output_files import read_prediction_facts
    from tools.baselines import spread
    from tools.mesh_scoring import find_meshes

    for flag, value in (("--pred", arguments.pred), ("--gt", arguments.gt)):
        if value is None:
            raise UserInputError(f"{flag}: expected a folder beside the other's, got none")
    for flag, given in (
        ("--shards", arguments.shards is not None),
        ("--views", arguments.views is not None),
        ("--baselines", arguments.baselines),
    ):
        if given:
            raise UserInputError(f"{flag}: expected without --pred, got both")
    if arguments.limit is not None and arguments.limit < 1:
        raise UserInputError(f"--limit: expected at least 1 view, got {arguments.limit}")
    if arguments.unit is not None and arguments.unit not in CM_PER_UNIT:
        raise UserInputError(f"--unit: expected m, cm or mm, got {arguments.unit!r}")
    without = [name for name in MAP_METRICS if name in arguments.metrics]
    if without:
        raise UserInputError(
            f"--metrics: expected metrics of meshes with --pred, got {without[0]} (of shards)"
        )
    out = arguments.out or DEFAULT_OUT
    check_results_folder(out, arguments.overwrite)
    facts = {} if arguments.frames is None else read_prediction_facts(arguments.frames)
    meshes = find_meshes(arguments.gt, method_folders(arguments), facts)
    if arguments.limit is not None:
        meshes = replace(meshes, views=tuple(spread(meshes.views, arguments.limit)))
    print(
        f"{arguments.gt}: scoring {len(meshes.views)} views of {len(meshes.scans)} scans, "
        f"{len(meshes.methods)} {'method' if len(meshes.methods) == 1 else 'methods'}",
        flush=True,
    )
    if arguments.dry_run:
        print(f"Would write {', '.join(RESULT_FILES[:-1])} into {out}")
        return EXIT_OK
    return _score(arguments, meshes, out, earlier)


def _score(
    arguments: argparse.Namespace, meshes: MeshSet, out: Path, earlier: EarlierReport | None
) -> int:
    from tqdm import tqdm

    from dataset.scans.scan import CM_PER_UNIT
    from tools.baselines import spread
    from tools.mesh_scoring import MeshScorer

    make_output_folder(out)
    source = {
        "scans": str(arguments.gt),
        "unit": arguments.unit or "found out",
        "versions": versions(),
    }
    for method in meshes.methods:
        source[method.name] = f"{method.folder} ({method.convention.source or 'user table'})"
    unit_cm = None if arguments.unit is None else CM_PER_UNIT[arguments.unit]
    pictured = spread(meshes.views, arguments.pictures) if arguments.pictures > 0 else []
    with (
        MeshScorer(meshes, score_config(arguments), unit_cm) as scorer,
        tqdm(total=len(meshes.views), desc="scoring", unit="view") as bar,
    ):
        results, packed = scorer.score(pictured, source, lambda: bar.update(1))
    return publish(out, results, packed, [], earlier)
