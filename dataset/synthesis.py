"""A folder of scans becomes a shard set: planning, resuming, many processes.

The bytes of the result depend on the scans, the config and the seed; not on the number of
jobs, the host, the time or where things stand.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dataset.existing_shards import Wanted, existing_set, kept_shard
from dataset.groups import ranked_partners
from dataset.scan_rendering import ScanOutcome, ScanTask
from dataset.scans import Scan
from dataset.set_lock import SetLock
from dataset.shard_index import (
    SPLITS_FOLDER,
    ShardEntry,
    ShardIndex,
    read_split_lists,
    read_splits,
    write_index,
    write_splits,
)
from dataset.splits import SPLITS, SplitRequest, assign_splits
from dataset.synthesis_config import SynthesisConfig
from dataset.workers import Crew, render_all

LOGGER = logging.getLogger(__name__)

SECONDS_BETWEEN_INDEX_WRITES = 10.0

PARTNER_CHOICES = 8
"""Candidates for every place beside a scan, as some may be of one subject or unusable."""


@dataclass(frozen=True, kw_only=True)
class SynthesisReport:
    """What a run did.

    Attributes:
        done: ids of the scans that were rendered.
        skipped: ids of the scans whose complete shards were kept.
        failed: id -> why, of the scans that could not be used.
        without_joints: ids of rendered and of kept scans that have no joints, or in whose group
            somebody has none.
        doubts: what was assumed of rendered scans -> ids of them.
        skipped_backgrounds: names of background pictures that could not be decoded.
    """

    done: tuple[str, ...]
    skipped: tuple[str, ...]
    failed: Mapping[str, str]
    without_joints: tuple[str, ...]
    doubts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    skipped_backgrounds: tuple[str, ...]


@dataclass
class _Progress:
    """What a run has so far; the one thing here that changes."""

    entries: dict[str, ShardEntry]
    done: set[str] = field(default_factory=set)
    skipped: set[str] = field(default_factory=set)
    failed: dict[str, str] = field(default_factory=dict)
    without_joints: set[str] = field(default_factory=set)
    doubts: dict[str, set[str]] = field(default_factory=dict)
    skipped_backgrounds: set[str] = field(default_factory=set)
    renderers: set[str] = field(default_factory=set)


@dataclass(frozen=True, kw_only=True)
class Synthesis:
    """One run over a scan set.

    Attributes:
        scans: what to render.
        config: how.
        out: folder of the shard set; made if missing, resumed if it is one.
        lists: scan id -> split of the user's list files.
        jobs, cluster: who renders, as in `dataset.workers.Crew`.
        overwrite: whether complete shards are rendered again.
        share: (i, n) to render every n-th scan only, from the i-th on, and to leave index and
            lists to a later run over all; runs of other shares may work beside it.
        partial: whether `scans` are a chosen few of the scan set.
        tool_version: written to the index.
    """

    scans: Sequence[Scan]
    config: SynthesisConfig
    out: Path
    lists: Mapping[str, str] = field(default_factory=dict)
    jobs: int = 1
    cluster: str | None = None
    overwrite: bool = False
    share: tuple[int, int] | None = None
    partial: bool = False
    tool_version: str = "unknown"

    @property
    def crew(self) -> Crew:
        """Who renders."""
        return Crew(jobs=self.jobs, cluster=self.cluster)


def own_share(scans: Sequence[Scan], share: tuple[int, int] | None) -> Sequence[Scan]:
    """Return every n-th scan from the i-th on for a share (i, n), all for None."""
    if share is None:
        return scans
    number, count = share
    return scans[number - 1 :: count]


def synthesise(run: Synthesis, on_scan: Callable[[str], None] | None = None) -> SynthesisReport:
    """Render all scans of a run that have no complete shard yet.

    A scan that cannot be used is passed over and reported. An interrupted run leaves an
    index of what it finished, and the next one goes on from there.

    Args:
        run: what to do.
        on_scan: called with the id of every scan that is done, kept or given up.

    Raises:
        ShardError: the output folder holds something else, or a shard set that was made
            with another config, or another process writes it.
        ContextError: there is no OpenGL context.
    """
    existing_set(run.out, run.config, run.overwrite, run.partial)  # before anything is written
    with SetLock(run.out, shared=run.share is not None):
        return _synthesise(run, on_scan or (lambda scan_id: None))


def _synthesise(run: Synthesis, report: Callable[[str], None]) -> SynthesisReport:
    existing = existing_set(run.out, run.config, run.overwrite, run.partial)
    progress = _Progress(entries={entry.scan_id: entry for entry in existing.shards})
    earlier = _assigned_subjects(run, progress.entries)
    while True:
        failures = len(progress.failed)
        good = [scan for scan in run.scans if scan.scan_id not in progress.failed]
        split_of = _split_of_scans(good, run.lists, earlier, progress.entries)
        _render_missing(run, good, split_of, progress, report)
        # A failed scan may have been all there was of a split: then the rest is dealt anew.
        if len(progress.failed) == failures or run.share is not None:
            break
    return SynthesisReport(
        done=tuple(sorted(progress.done)),
        skipped=tuple(sorted(progress.skipped)),
        failed=dict(sorted(progress.failed.items())),
        without_joints=tuple(sorted(progress.without_joints)),
        doubts={doubt: tuple(sorted(ids)) for doubt, ids in sorted(progress.doubts.items())},
        skipped_backgrounds=tuple(sorted(progress.skipped_backgrounds)),
    )


def _assigned_subjects(run: Synthesis, entries: Mapping[str, ShardEntry]) -> dict[str, str]:
    """Return subject -> split of what the output folder already lists."""
    subject_of = {scan.scan_id: scan.subject for scan in run.scans}
    subject_of |= {entry.scan_id: entry.subject for entry in entries.values()}
    listed = read_splits(run.out)
    return {subject_of[name]: split for name, split in listed.items() if name in subject_of}


def _split_of_scans(
    scans: Sequence[Scan],
    lists: Mapping[str, str],
    earlier: Mapping[str, str],
    entries: Mapping[str, ShardEntry],
) -> dict[str, str]:
    """Return scan id -> split of scans, and of all others of the same subjects in the set."""
    requests = [
        SplitRequest(scan_id=scan.scan_id, subject=scan.subject, own_split=scan.split)
        for scan in scans
    ]
    # A subject whose scans have all failed fills no split, whatever was planned for it.
    usable = {scan.subject for scan in scans} | {entry.subject for entry in entries.values()}
    split_of_subject = assign_splits(requests, lists, earlier, lost=set(earlier) - usable)
    others = {name: entry.subject for name, entry in entries.items()}
    subject_of = others | {scan.scan_id: scan.subject for scan in scans}
    return {
        name: split_of_subject[subject]
        for name, subject in subject_of.items()
        if subject in split_of_subject
    }


def _render_missing(
    run: Synthesis,
    scans: Sequence[Scan],
    split_of: Mapping[str, str],
    progress: _Progress,
    report: Callable[[str], None],
) -> None:
    """Render what is missing, keeping index and lists up to date, also when cut short."""
    identity, tasks = run.config.identity(), []
    companions: dict[str, list[Scan]] = {split: [] for split in SPLITS}
    for scan in scans:
        companions[split_of[scan.scan_id]].append(scan)
    for scan in own_share(scans, run.share):
        beside = companions[split_of[scan.scan_id]]
        store_mesh = run.config.stores_mesh(split_of[scan.scan_id])
        keep = not run.overwrite or scan.scan_id in progress.done
        kept = None
        if keep:
            wanted = Wanted(
                scan=scan,
                identity=identity,
                needs_mesh=store_mesh,
                companions={other.scan_id: other for other in beside},
                same_files=True,
            )
            kept = kept_shard(run.out, wanted, progress.entries.get(scan.scan_id))
        if kept is None:
            choices = PARTNER_CHOICES * (run.config.people_per_image - 1)
            partners = ranked_partners(scan, beside, run.config.seed, choices) if choices else ()
            tasks.append(ScanTask(scan=scan, store_mesh=store_mesh, partners=partners))
            continue
        progress.entries[scan.scan_id] = kept.entry
        if scan.scan_id not in progress.done | progress.skipped:
            progress.skipped.add(scan.scan_id)
            if not kept.has_joints:
                progress.without_joints.add(scan.scan_id)
            report(scan.scan_id)
    written = 0.0
    try:
        for outcome in render_all(tasks, run.config, run.out, run.crew):
            _note(outcome, progress)
            if not run.crew.is_here and outcome.renderer not in progress.renderers:
                # What is drawn in this process logs it itself.
                LOGGER.info("OpenGL: %s", outcome.renderer)
                progress.renderers.add(outcome.renderer)
            if outcome.entry is None:
                _keep_old_shard(run, outcome.scan_id, progress)
            report(outcome.scan_id)
            if progress.done and time.monotonic() - written > SECONDS_BETWEEN_INDEX_WRITES:
                _write_lists(run, split_of, progress)
                written = time.monotonic()
    finally:
        if progress.entries:
            _write_lists(run, split_of, progress)


def _note(outcome: ScanOutcome, progress: _Progress) -> None:
    progress.skipped_backgrounds |= outcome.skipped_backgrounds
    if outcome.entry is None:
        progress.failed[outcome.scan_id] = outcome.reason
        progress.entries.pop(outcome.scan_id, None)
        LOGGER.info("%s: %s", outcome.scan_id, outcome.reason)
        if outcome.traceback:
            LOGGER.error("%s", outcome.traceback)
        return
    progress.entries[outcome.scan_id] = outcome.entry
    progress.done.add(outcome.scan_id)
    if not outcome.has_joints:
        progress.without_joints.add(outcome.scan_id)
    for doubt in outcome.doubts:
        progress.doubts.setdefault(doubt, set()).add(outcome.scan_id)
    for note in outcome.notes:
        LOGGER.info("%s: %s", outcome.scan_id, note)


def _keep_old_shard(run: Synthesis, scan_id: str, progress: _Progress) -> None:
    """List the shard of an earlier run where rendering it again has failed."""
    scan = next(scan for scan in run.scans if scan.scan_id == scan_id)
    kept = kept_shard(run.out, Wanted(scan=scan, identity=run.config.identity()), None)
    if kept is not None:
        progress.entries[scan_id] = kept.entry
        LOGGER.info("%s: the shard of an earlier run is kept", scan_id)


def _write_lists(run: Synthesis, split_of: Mapping[str, str], progress: _Progress) -> None:
    if run.share is not None:
        return
    listed = read_splits(run.out) | dict(split_of)
    gone = progress.failed.keys() - progress.entries.keys()
    write_splits(run.out, {name: split for name, split in listed.items() if name not in gone})
    index = ShardIndex(
        config=run.config.identity(),
        seed=run.config.seed,
        tool_version=run.tool_version,
        shards=tuple(progress.entries.values()),
    )
    write_index(run.out, index)


def scan_set_lists(root: Path) -> dict[str, str]:
    """Return scan id -> split of the lists `splits/{train,val,test}.txt` in a scan folder."""
    return read_split_lists(root / SPLITS_FOLDER)
