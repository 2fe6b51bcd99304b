"""The example of the README opens a shard with h5py alone."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np

from dataset.shards import ShardSet

README = Path(__file__).parents[2] / "README.md"


def test_the_example_of_the_readme_reads_what_the_toolkit_reads(
    baked: Path, tmp_path: Path
) -> None:
    examples = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    (example,) = [text for text in examples if "h5py.File" in text]
    (tmp_path / "shards" / "scans").mkdir(parents=True)
    shard = baked / "scans" / "p0__person.h5"
    shutil.copy(shard, tmp_path / "shards" / "scans" / "person_0000.h5")
    keep = "import numpy\nnumpy.savez('read.npz', image=image, normals=normals, mask=mask)\n"
    # Without the toolkit on its path.
    subprocess.run([sys.executable, "-I", "-c", example + keep], cwd=tmp_path, check=True)
    read = np.load(tmp_path / "read.npz")
    with ShardSet(baked).open("p0__person") as reader:
        assert np.array_equal(read["image"], reader.read("image/front", 0))
        assert np.array_equal(read["mask"], reader.read("mask", 0))
        assert np.array_equal(read["normals"], reader.read_code("normal/front", 0))


def test_the_bytes_do_not_depend_on_the_threads_that_pack_them(tmp_path: Path) -> None:
    script = (
        "import sys\nfrom pathlib import Path\n"
        "from tools.cli import new_parser, run_command\n"
        "def run(arguments):\n"
        "    from dataset.shard_writer import ShardWriter\n"
        "    from tests.dataset.records import make_header, make_record\n"
        "    with ShardWriter(Path(sys.argv[1]), make_header(256, 1)) as writer:\n"
        "        writer.add_view(make_record(256, 0))\n"
        "    return 0\n"
        "sys.exit(run_command(new_parser('x', 'x'), run, []))\n"
    )
    written = []
    for threads in ("1", "8"):
        path = tmp_path / f"{threads}.h5"
        subprocess.run(
            [sys.executable, "-c", script, str(path)],
            cwd=README.parent,
            env={"PATH": "", "BLOSC_NTHREADS": threads},
            check=True,
        )
        written.append(path.read_bytes())
    assert written[0] == written[1]
