"""The flags of render-dataset that say what is rendered, from where and in what light."""

from __future__ import annotations

import argparse
from pathlib import Path

LAYOUTS = (
    "demo", "renderpeople", "thuman2", "thuman", "multihuman", "2k2k", "buff", "cape", "dfaust",
    "humbi", "humman", "axyz", "twindom", "generic",
)  # fmt: skip
"""`dataset.scans.LAYOUT_NAMES`, which takes too long to import for --help."""


def add_scan_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of the scans."""
    add = parser.add_argument_group("scans", "docs/scan_sets.md has what each set is.").add_argument
    add(
        "--layout",
        choices=("auto", *LAYOUTS),
        default="auto",
        help="whose files these are; auto: found out; generic: any tree of meshes",
    )
    add(
        "--manifest",
        type=Path,
        metavar="FILE",
        help="CSV or YAML with facts of single scans: subject, yaw_deg, scale, skip, unit, up, "
        "split, category:NAME",
    )
    add(
        "--joints",
        choices=("auto", "sidecar", "smplx", "detect"),
        default="auto",
        help="from files beside the scans, from SMPL-X, or detected in pictures from twelve sides; "
        "auto: the first that is there (docs/joints.md)",
    )
    add(
        "--body-models",
        type=Path,
        metavar="DIR",
        help="folder of SMPLX_NEUTRAL.npz and so on, for the joints of SMPL-X parameters",
    )
    add(
        "--pose",
        choices=("mediapipe", "openpifpaf"),
        default="mediapipe",
        help="what detects joints",
    )


def add_camera_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of the cameras."""
    group = parser.add_argument_group(
        "camera", "What training takes is the default camera, from any side, height and tilt."
    )
    turns = group.add_mutually_exclusive_group()
    turns.add_argument(
        "--angles",
        type=float,
        nargs=3,
        default=(-30.0, 30.0, 10.0),
        metavar=("START", "END", "STEP"),
        help="turns of the person about the vertical, degrees; 0 360 STEP is a full turn",
    )
    turns.add_argument(
        "--yaws", type=float, nargs="+", metavar="DEG", help="these turns instead, in this order"
    )
    group.add_argument(
        "--camera",
        choices=("perspective", "orthographic"),
        default="perspective",
        help="orthographic: parallel rays, as large as the person is in the perspective picture",
    )
    for name, default, text in (
        ("--pitch", (0.0, 0.0), "degrees the camera looks down by, at most 90"),
        ("--roll", (0.0, 0.0), "degrees the picture turns counter-clockwise by, at most 180"),
        ("--fov", (50.0, 50.0), "field of view, 5 to 120 degrees"),
        ("--distance", (1.0, 1.0), "of the camera; the person is at most 0.71 tall and wide"),
    ):
        group.add_argument(
            name,
            type=float,
            nargs=2,
            default=default,
            metavar=("LOW", "HIGH"),
            help=f"{text}; drawn for every view",
        )


def add_picture_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of the pictures."""
    add = parser.add_argument_group("picture").add_argument
    add(
        "--backgrounds",
        type=Path,
        metavar="DIR",
        help="folder of background pictures at any depth (default: rooms are drawn)",
    )
    add(
        "--background-jitter",
        type=float,
        default=0.0,
        metavar="X",
        help="how strongly the colours of backgrounds are changed at random, 0 to 1",
    )
    add(
        "--people-per-image",
        type=int,
        default=1,
        metavar="N",
        help="above 1, every scan stands in a group with N - 1 others of its split, at random "
        "places of the floor; one shard a group, with an instance mask",
    )
    add(
        "--rig",
        choices=("paper", "key", "soft", "none"),
        default="paper",
        help="lights; paper: ambient and 90 diffuse lights, drawn per view",
    )
    add(
        "--composite",
        choices=("baked", "on-read"),
        default="baked",
        help="store the finished picture, or person and background apart",
    )
