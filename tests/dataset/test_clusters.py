"""Clusters render what one process does, also when workers or the driver die."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from dataset import workers
from dataset.scans import find_scans
from dataset.synthesis import Synthesis, scan_set_lists, synthesise
from dataset.synthesis_config import SynthesisConfig
from dataset.workers import Crew
from render.errors import UserInputError
from tests.dataset.small_sets import content, render
from tests.scenes import write_person

CONFIG = SynthesisConfig(resolution=128, yaws_deg=(0.0, 20.0), seed=3)


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cluster") / "scans"
    for seed in range(4):
        write_person(folder, f"person{seed}", seed=seed)
    return folder


@pytest.fixture(scope="module")
def alone(scans: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("alone") / "shards"
    assert not render(scans, out, CONFIG, jobs=1).failed
    return out


@pytest.fixture(scope="module")
def dask() -> Iterator[Any]:
    """A scheduler with two workers in processes of their own, whose nannies replace them."""
    from distributed import LocalCluster

    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    with LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=":0", silence_logs=False
    ) as cluster:
        yield cluster


def address_of(dask: Any) -> str:
    return str(dask.scheduler_address).replace("tcp://", "dask://")


def worker_pids(dask: Any) -> set[int]:
    from distributed import Client

    with Client(dask, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=60)
        return set(client.run(os.getpid).values())


def test_a_worker_that_is_killed_is_replaced_and_the_bytes_are_those_of_one_process(
    scans: Path, alone: Path, dask: Any, tmp_path: Path
) -> None:
    before = worker_pids(dask)
    done: list[str] = []

    def kill_one(scan_id: str) -> None:
        if not done:
            os.kill(min(before), signal.SIGKILL)
        done.append(scan_id)

    run = Synthesis(
        scans=find_scans(scans, joints="sidecar"),
        config=CONFIG,
        out=tmp_path / "shards",
        lists=scan_set_lists(scans),
        cluster=address_of(dask),
    )
    report = synthesise(run, kill_one)
    assert len(report.done) == 4 and not report.failed and sorted(done) == sorted(report.done)
    assert content(tmp_path / "shards") == content(alone)
    after = worker_pids(dask)
    assert len(after) == 2 and min(before) not in after


@pytest.mark.slow
def test_a_driver_that_is_killed_is_started_again(
    scans: Path, alone: Path, dask: Any, tmp_path: Path
) -> None:
    out = tmp_path / "shards"
    line = [sys.executable, "-m", "tools.render_dataset", "--scans", str(scans), "--out", str(out)]
    line += ["--resolution", "128", "--yaws", "0", "20", "--seed", "3", "--joints", "sidecar"]
    line += ["--cluster", address_of(dask)]
    driver = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not list(out.glob("scans/*.h5")) and driver.poll() is None:
        time.sleep(0.05)
    driver.kill()
    driver.wait()
    finished = {path.name for path in out.glob("scans/*.h5")}
    assert 0 < len(finished) < 4
    again = subprocess.run(line, capture_output=True, text=True, check=True)
    kept = int(again.stdout.split("scans rendered, ")[1].split(" kept")[0])
    assert kept >= len(finished)
    assert content(out) == content(alone)


def test_a_worker_that_does_not_see_the_shard_set_says_so(scans: Path, tmp_path: Path) -> None:
    orders = workers.Orders(config=CONFIG, out=tmp_path, threads=1, remote=True)
    with pytest.raises(UserInputError, match="under this path on every machine of the cluster"):
        workers.render_in_worker([], orders)


@pytest.mark.parametrize("address", ["dask", "dask://", "dask://host", "http://host:80", "ray://:"])
def test_addresses_that_name_no_cluster_are_refused(address: str) -> None:
    with pytest.raises(UserInputError, match="--cluster: expected dask://HOST:PORT or ray://"):
        Crew(cluster=address)


@pytest.mark.skipif(find_spec("ray") is not None, reason="ray is installed")
def test_a_cluster_without_its_package_names_the_extra() -> None:
    with pytest.raises(UserInputError, match=r"the package ray, found none .*\[cluster\]"):
        Crew(cluster="ray://head:10001")


def test_a_scheduler_that_does_not_answer_is_named(
    scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "SECONDS_TO_CONNECT", 1)
    with pytest.raises(UserInputError, match="a Dask scheduler at dask://127.0.0.1:9, found none"):
        render(scans, tmp_path / "shards", CONFIG, cluster="dask://127.0.0.1:9")


def test_workers_of_several_threads_are_refused(scans: Path, tmp_path: Path) -> None:
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=1, threads_per_worker=2, processes=False, protocol="tcp", dashboard_address=":0"
    ) as cluster:
        with pytest.raises(UserInputError, match="workers of one thread each, found one with 2"):
            render(scans, tmp_path / "shards", CONFIG, cluster=address_of(cluster))


@pytest.mark.slow
@pytest.mark.skipif(find_spec("ray") is None, reason="ray is not installed")
def test_ray_renders_the_bytes_of_one_process(scans: Path, alone: Path, tmp_path: Path) -> None:
    ray = [sys.executable, "-m", "ray.scripts.scripts"]
    start = [*ray, "start", "--head", "--num-cpus", "2", "--port", "46379"]
    start += ["--ray-client-server-port", "46001", "--include-dashboard", "false"]
    subprocess.run(start, check=True, capture_output=True)
    try:
        render(scans, tmp_path / "shards", CONFIG, cluster="ray://127.0.0.1:46001")
        assert content(tmp_path / "shards") == content(alone)
    finally:
        subprocess.run([*ray, "stop"], check=True, capture_output=True)
