"""digitize: a photograph of a person becomes a closed, textured mesh."""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from render.errors import OutputError, UserInputError
from tools.cli import (
    EXIT_OK,
    EXIT_SOME_FAILED,
    make_output_folder,
    new_parser,
    run_command,
    toolkit_version,
)
from tools.digitize_names import is_done
from tools.eval_2k2k import LATEST_RUN, choose_device

if TYPE_CHECKING:
    from model.digitizer import DigitizeConfig, Digitizer

SHIPPED = Path("data") / "digitize.ckpt"
"""The checkpoint that comes with the toolkit, in the folder of `model`."""

KEYPOINT_SUFFIX = "_keypoints.json"


def build_parser() -> argparse.ArgumentParser:
    """Return the command line."""
    parser = new_parser(
        "digitize",
        "Digitise people in photographs and videos: a closed, textured mesh of each, with depth "
        "and normals of both sides, and pictures of it.",
    )
    parser.add_argument(
        "inputs",
        type=Path,
        nargs="*",
        metavar="PHOTO",
        help="photographs (JPEG, PNG, WebP, HEIC with pillow-heif), videos, or folders of them",
    )
    parser.add_argument(
        "--out", type=Path, default=Path("digitized"), metavar="DIR", help="folder of the results"
    )
    parser.add_argument(
        "--checkpoint",
        type=Path,
        metavar="PATH",
        help="checkpoint file or run folder (default: the one that comes with the toolkit, else "
        f"{LATEST_RUN})",
    )
    parser.add_argument("--all", action="store_true", help="everyone, not only the largest person")
    parser.add_argument(
        "--allow-cut-off",
        action="store_true",
        help="digitise people of whom the photograph does not show all",
    )
    _add_person_flags(parser)
    _add_mesh_flags(parser)
    parser.add_argument("--device", default="auto", help="cpu, cuda, mps or auto")
    parser.add_argument(
        "--precision",
        choices=("auto", "32", "bf16", "16"),
        default="auto",
        help="of the networks; auto: bf16 where the device has instructions for it, else float32",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace earlier results")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and stop")
    return parser


def _add_person_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--pose",
        choices=("mediapipe", "openpifpaf", "openpose"),
        default="mediapipe",
        help="who finds the joints; openpose: they are in PHOTO_keypoints.json beside each "
        "photograph, as OpenPose writes them",
    )
    parser.add_argument(
        "--keypoints", type=Path, metavar="FILE", help="joints of one photograph, of OpenPose"
    )
    parser.add_argument(
        "--mask",
        type=Path,
        metavar="FILE",
        help="picture that is bright where the person of one photograph is (default: its alpha "
        "channel, else the outline of the detector)",
    )
    parser.add_argument(
        "--setup-pose", action="store_true", help="get what mediapipe needs, once, and stop"
    )
    parser.add_argument(
        "--every", type=int, default=1, metavar="N", help="every Nth frame of a video"
    )
    parser.add_argument(
        "--smooth",
        type=float,
        default=0.05,
        metavar="SECONDS",
        help="deviation of the Gaussian that smooths joints of a video over time; 0: none",
    )


def _add_mesh_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--mesh",
        choices=("stitch", "poisson"),
        default="stitch",
        help="how depth becomes a surface: the two pixel grids joined, or screened Poisson",
    )
    parser.add_argument(
        "--height-cm", type=float, metavar="H", help="of the person; scales the mesh to it"
    )
    parser.add_argument(
        "--max-faces", type=int, metavar="N", help="merge faces until no more are left"
    )
    parser.add_argument(
        "--back",
        choices=("mirror", "fill"),
        default="mirror",
        help="colours of the unseen side: the photograph's, or carried inwards from the outline",
    )
    parser.add_argument(
        "--format", choices=("glb", "obj", "ply"), default="glb", help="of the mesh"
    )
    parser.add_argument(
        "--view", action="store_true", help="show mesh and photograph in the browser"
    )


@dataclass(frozen=True, kw_only=True)
class Job:
    """One photograph or video, and the name of its results."""

    path: Path
    name: str


def plan_jobs(paths: list[Path]) -> list[Job]:
    """Return a job for each file; files with equal stems keep their suffix in the name."""
    stems = [path.stem for path in paths]
    names = [path.stem if stems.count(path.stem) == 1 else path.name for path in paths]
    for name, path in zip(names, paths, strict=True):
        if names.count(name) > 1:
            raise UserInputError(
                f"{path}: expected files of different names, since results are named after them, "
                f"found {name} twice (digitise them into separate --out folders)"
            )
    return [Job(path=path, name=name) for path, name in zip(paths, names, strict=True)]


def default_checkpoint() -> Path:
    """Return the checkpoint that comes with the toolkit, else that of the latest run here.

    Raises:
        UserInputError: there is neither.
    """
    import model

    shipped = Path(model.__file__).parent / SHIPPED
    if shipped.is_file():
        return shipped
    if LATEST_RUN.exists():
        return LATEST_RUN
    raise UserInputError(
        f"--checkpoint: expected a trained model, found none here ({LATEST_RUN}): `2k2k-demo --out "
        "demo-output` or train-2k2k trains one, import-checkpoint takes the one that the paper's "
        "authors released"
    )


def _run(arguments: argparse.Namespace) -> int:
    if arguments.setup_pose:
        from dataset.detectors import setup_pose

        print(f"mediapipe is ready: {setup_pose()}")
        return EXIT_OK
    from dataset.photographs import find_inputs, is_video

    if not arguments.inputs:
        raise UserInputError("PHOTO: expected a photograph, a video or a folder, got none")
    jobs = plan_jobs(find_inputs(arguments.inputs))
    _check_flags(arguments, [job.path for job in jobs])
    checkpoint = arguments.checkpoint or default_checkpoint()
    waiting = [
        job
        for job in jobs
        if arguments.overwrite or not is_done(arguments.out, job.name, everyone=arguments.all)
    ]
    if arguments.dry_run:
        print(f"checkpoint: {checkpoint}")
        for job in jobs:
            kind = "video" if is_video(job.path) else "photograph"
            state = "to do" if job in waiting else "kept"
            print(f"{job.path} ({kind}): {arguments.out / job.name}.{arguments.format}, {state}")
        return EXIT_OK
    for job in jobs:
        if job not in waiting:
            print(f"{job.path}: kept what is in {arguments.out} (--overwrite replaces it)")
    if not waiting:
        return EXIT_OK
    return _digitize(arguments, waiting, checkpoint, is_batch=len(jobs) > 1)


def _check_flags(arguments: argparse.Namespace, paths: list[Path]) -> None:
    from dataset.photographs import is_video

    for flag in ("keypoints", "mask"):
        if getattr(arguments, flag) is not None and (len(paths) > 1 or is_video(paths[0])):
            raise UserInputError(
                f"--{flag}: expected one photograph that the file belongs to, got "
                f"{f'{len(paths)} files' if len(paths) > 1 else 'a video'}"
            )
    for folder in arguments.inputs:
        if folder.is_dir() and folder.resolve() == arguments.out.resolve():
            raise UserInputError(
                f"--out: expected another folder than {folder}, since results are pictures too and "
                "would be taken for photographs the next time"
            )
    if arguments.pose == "openpose" and any(map(is_video, paths)):
        raise UserInputError("--pose: expected mediapipe or openpifpaf for a video, got openpose")
    if arguments.every < 1:
        raise UserInputError(f"--every: expected 1 or more, got {arguments.every}")
    if not 0.0 <= arguments.smooth <= 10.0:
        raise UserInputError(f"--smooth: expected 0 to 10 seconds, got {arguments.smooth:g}")
    if arguments.height_cm is not None and not 0.0 < arguments.height_cm < 1000.0:
        raise UserInputError(f"--height-cm: expected 0 to 1000 cm, got {arguments.height_cm:g}")


def digitize_config(arguments: argparse.Namespace) -> DigitizeConfig:
    """Return how photographs are digitised, of the command line.

    Raises:
        UserInputError: a value cannot be used.
    """
    from model.colouring import ColourConfig
    from model.digitizer import DigitizeConfig
    from model.surfaces import MIN_FACES, SurfaceConfig

    if arguments.max_faces is not None and arguments.max_faces < MIN_FACES:
        raise UserInputError(
            f"--max-faces: expected {MIN_FACES} or more, got {arguments.max_faces}"
        )
    return DigitizeConfig(
        surface=SurfaceConfig(method=arguments.mesh, max_faces=arguments.max_faces),
        colours=ColourConfig(back=arguments.back),
        height_cm=arguments.height_cm,
        allow_cut_off=arguments.allow_cut_off,
        detector="openpifpaf" if arguments.pose == "openpifpaf" else "mediapipe",
        precision=arguments.precision,
    )


def _digitize(
    arguments: argparse.Namespace, jobs: list[Job], checkpoint: Path, *, is_batch: bool
) -> int:
    started = time.perf_counter()
    from tqdm import tqdm

    from model.checkpoint import find_checkpoint, load_checkpoint
    from model.digitizer import Digitizer

    file = find_checkpoint(checkpoint, "--checkpoint")
    loaded = load_checkpoint(file)
    device = choose_device(arguments.device)
    make_output_folder(arguments.out)
    model = loaded.config.model
    facts = {
        "toolkit": toolkit_version(),
        "checkpoint": str(file),
        "convention": model.convention,
        "device": device,
        "precision": arguments.precision,
        "pose": "keypoints" if arguments.keypoints else arguments.pose,
    }
    failures: list[str] = []
    with Digitizer(loaded, digitize_config(arguments), device) as digitizer:
        print(
            f"model: {file}, {model.convention}, {model.resolution} pixels; loading "
            f"{time.perf_counter() - started:.1f} s"
        )
        for job in tqdm(jobs, desc="digitising", unit="file", disable=len(jobs) < 2):
            try:
                failures += _one_file(digitizer, job, arguments, facts)
            except OutputError:
                raise  # what comes after would fail as well
            except UserInputError as error:
                if not is_batch:
                    raise
                failures.append(str(error))
    if failures:
        print(f"{len(failures)} failed:")
        print("\n".join(f"  {failure}" for failure in failures))
    return EXIT_SOME_FAILED if failures else EXIT_OK


def _one_file(
    digitizer: Digitizer, job: Job, arguments: argparse.Namespace, facts: dict[str, Any]
) -> list[str]:
    from dataset.photographs import is_video
    from tools.digitize_photograph import PhotographJob, digitize_photograph
    from tools.digitize_video import VideoJob, digitize_video

    if is_video(job.path):
        video = VideoJob(
            path=job.path,
            out=arguments.out,
            name=job.name,
            suffix=arguments.format,
            every=arguments.every,
            smooth_seconds=arguments.smooth,
            facts=facts,
        )
        return digitize_video(digitizer, video)
    photograph = PhotographJob(
        path=job.path,
        out=arguments.out,
        name=job.name,
        suffix=arguments.format,
        keypoints=_keypoints(arguments, job.path),
        mask=arguments.mask,
        everyone=arguments.all,
        view=arguments.view,
        facts=facts,
    )
    return digitize_photograph(digitizer, photograph)


def _keypoints(arguments: argparse.Namespace, path: Path) -> Path | None:
    if arguments.keypoints is not None:
        return Path(arguments.keypoints)
    if arguments.pose == "openpose":
        return path.with_name(path.stem + KEYPOINT_SUFFIX)
    return None


def main(argv: list[str] | None = None) -> int:
    """Entry point of `digitize`; returns the exit status."""
    return run_command(build_parser(), _run, argv)


if __name__ == "__main__":
    raise SystemExit(main())
