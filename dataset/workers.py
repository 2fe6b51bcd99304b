"""Who renders: this process, others of this machine, or those of a cluster.

All of them go through joblib and do the same with a batch of scans; what differs is who hands
the batches out. Nothing of it shows in the bytes of a shard.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dataset.scan_rendering import ScanOutcome, ScanTask, render_batch
from dataset.set_lock import LOCK_NAME
from dataset.synthesis_config import SynthesisConfig
from render.context import DEVICE_VARIABLE
from render.errors import OutputError, UserInputError

LOGGER = logging.getLogger(__name__)

LARGEST_BATCH = 8
BATCHES_PER_JOB = 16
SCHEMES = {"dask": "distributed", "ray": "ray"}
"""Clusters that an address may name -> the package that talks to them."""

SECONDS_TO_CONNECT = 30
SECONDS_FOR_WORKERS = 600
"""A queue may take its time to start the first worker."""


@dataclass(frozen=True, kw_only=True)
class Crew:
    """Who renders.

    Attributes:
        jobs: processes of this machine; 1 starts none. Not looked at with a cluster.
        cluster: its address, dask://HOST:PORT or ray://HOST:PORT, or None.
    """

    jobs: int = 1
    cluster: str | None = None

    def __post_init__(self) -> None:
        if self.cluster is not None:
            _split_address(self.cluster)

    @property
    def is_here(self) -> bool:
        """Whether this process does it all."""
        return self.jobs == 1 and self.cluster is None


@dataclass(frozen=True, kw_only=True)
class Orders:
    """What every batch has in common.

    Attributes:
        config: how to render.
        out: the shard set.
        threads: of a worker.
        remote: whether the worker may be on another machine.
        environment: variables of this process that a worker has to have too.
    """

    config: SynthesisConfig
    out: Path
    threads: int
    remote: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)


def render_all(
    tasks: Sequence[ScanTask], config: SynthesisConfig, out: Path, crew: Crew
) -> Iterator[ScanOutcome]:
    """Render scans in any order.

    Raises:
        UserInputError: the cluster cannot be reached, or processes were ended.
        OutputError: shards cannot be written, or a worker does not see their folder.
    """
    _compress_in_one_thread()
    jobs = min(crew.jobs, len(tasks))
    if not tasks or (jobs <= 1 and crew.cluster is None):
        yield from render_batch(tasks, config, out) if tasks else ()
    elif crew.cluster is None:
        yield from _render_on_this_machine(tasks, config, out, jobs)
    else:
        yield from _render_on_cluster(tasks, config, out, crew.cluster)


def _compress_in_one_thread() -> None:
    """See that the bytes of shards do not hang on cores: blocks are cut by the number of threads.

    Processes that are started from this one inherit it.
    """
    os.environ["BLOSC_NTHREADS"] = "1"


def _in_batches(tasks: Sequence[ScanTask], jobs: int) -> list[Sequence[ScanTask]]:
    size = max(1, min(LARGEST_BATCH, len(tasks) // (BATCHES_PER_JOB * jobs)))
    return [tasks[start : start + size] for start in range(0, len(tasks), size)]


def _render_on_this_machine(
    tasks: Sequence[ScanTask], config: SynthesisConfig, out: Path, jobs: int
) -> Iterator[ScanOutcome]:
    import joblib
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    orders = Orders(config=config, out=out, threads=max(1, joblib.cpu_count() // jobs))
    parallel = joblib.Parallel(n_jobs=jobs, return_as="generator_unordered")
    try:
        for outcomes in parallel(
            joblib.delayed(render_in_worker)(batch, orders) for batch in _in_batches(tasks, jobs)
        ):
            yield from outcomes
    except TerminatedWorkerError as error:
        raise UserInputError(
            f"--jobs: expected room for {jobs} processes, but one was ended by the system, "
            "most likely for its memory; what is finished is kept, go on with fewer jobs"
        ) from error


def _render_on_cluster(
    tasks: Sequence[ScanTask], config: SynthesisConfig, out: Path, address: str
) -> Iterator[ScanOutcome]:
    import joblib

    device = os.environ.get(DEVICE_VARIABLE)
    orders = Orders(
        config=config,
        out=out.resolve(),
        threads=1,
        remote=True,
        environment={} if device is None else {DEVICE_VARIABLE: device},
    )
    scheme, _ = _split_address(address)
    connect = {"dask": _dask, "ray": _ray}[scheme]
    with connect(address) as (backend, workers):
        LOGGER.info("%s: %d workers", address, workers)
        with joblib.parallel_config(**backend):
            parallel = joblib.Parallel(n_jobs=-1, batch_size=1, return_as="generator_unordered")
            for outcomes in parallel(
                joblib.delayed(render_in_worker)(batch, orders)
                for batch in _in_batches(tasks, max(1, workers))
            ):
                yield from outcomes


def render_in_worker(tasks: Sequence[ScanTask], orders: Orders) -> list[ScanOutcome]:
    """Render a batch in a process that another one started.

    Raises:
        OutputError: this machine does not see the shard set.
    """
    import cv2

    # joblib limits BLAS and OpenMP, but neither OpenCV nor Mesa's software renderer, which
    # takes every core unless told otherwise before it starts.
    cv2.setNumThreads(orders.threads)
    os.environ.setdefault("LP_NUM_THREADS", str(orders.threads))
    _compress_in_one_thread()
    os.environ.update(orders.environment)
    if orders.remote and not (orders.out / LOCK_NAME).exists():
        raise OutputError(
            f"{orders.out}: expected the shard set under this path on every machine of the "
            f"cluster, found none on {socket.gethostname()}"
        )
    return list(render_batch(tasks, orders.config, orders.out))


def _split_address(address: str) -> tuple[str, str]:
    """Return scheme and HOST:PORT of a cluster's address.

    Raises:
        UserInputError: it is no such address, or the package for it is not installed.
    """
    from importlib.util import find_spec

    scheme, separator, place = address.partition("://")
    host, _, port = place.rpartition(":")
    if scheme not in SCHEMES or not separator or not host or not port.isdecimal():
        raise UserInputError(
            f"--cluster: expected dask://HOST:PORT or ray://HOST:PORT, found {address}"
        )
    if find_spec(SCHEMES[scheme]) is None:
        raise UserInputError(
            f"--cluster: expected the package {SCHEMES[scheme]}, found none "
            "(pip install '2k2k-toolkit[cluster]')"
        )
    return scheme, place


@contextmanager
def _dask(address: str) -> Iterator[tuple[dict[str, Any], int]]:
    """Connect to a Dask scheduler; yields what joblib takes, and the number of workers."""
    from distributed import Client, KilledWorker

    _, place = _split_address(address)
    try:
        client = Client(f"tcp://{place}", timeout=SECONDS_TO_CONNECT, set_as_default=False)
    except OSError as error:
        raise UserInputError(
            f"--cluster: expected a Dask scheduler at {address}, found none that answers"
        ) from error
    with client:
        threads = client.nthreads()
        if any(count != 1 for count in threads.values()):
            raise UserInputError(
                f"--cluster: expected Dask workers of one thread each, found one with "
                f"{max(threads.values())} (dask worker --nthreads 1 --nworkers N)"
            )
        _wait_for_earlier_batches(client)
        try:
            yield (
                {
                    "backend": "dask",
                    "client": client,
                    "wait_for_workers_timeout": SECONDS_FOR_WORKERS,
                },
                len(threads),
            )
        except KilledWorker as error:
            raise UserInputError(
                f"--cluster: expected workers with room for a scan, but several were ended one "
                f"after the other with the same one ({error}); what is finished is kept"
            ) from error
        except TimeoutError as error:
            raise UserInputError(
                f"--cluster: expected workers at {address}, found none within "
                f"{SECONDS_FOR_WORKERS} seconds"
            ) from error


def _wait_for_earlier_batches(client: Any) -> None:
    """Wait until workers are through with what a driver that died had given them.

    They cannot be stopped, and write the same files.
    """
    said = False
    while any(render_in_worker.__name__ in key for key in _running(client)):
        if not said:
            LOGGER.warning("waiting for scans that an earlier run has begun on the cluster")
            said = True
        time.sleep(0.5)


def _running(client: Any) -> list[str]:
    return [str(key) for keys in (client.call_stack() or {}).values() for key in keys]


@contextmanager
def _ray(address: str) -> Iterator[tuple[dict[str, Any], int]]:
    """Connect to a Ray cluster; yields what joblib takes, and the number of workers."""
    import ray
    from ray.util.joblib import register_ray

    try:
        ray.init(address=address, log_to_driver=False)
    except (ConnectionError, OSError, RuntimeError) as error:
        raise UserInputError(
            f"--cluster: expected a Ray cluster at {address}, found none that answers"
        ) from error
    try:
        register_ray()
        # Workers that die are started again, and what they had begun with them.
        remote = {"max_restarts": -1, "max_task_retries": -1}
        count = int(ray.cluster_resources().get("CPU", 1))
        yield {"backend": "ray", "ray_remote_args": remote}, count
    finally:
        ray.shutdown()
