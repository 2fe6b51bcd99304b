#!/usr/bin/env bash
# Makes or repairs the virtual environment. Usage: environment.sh VENV PYTHON
set -euo pipefail

venv=$1
python=$2
root=$(cd "$(dirname "$0")/../.." && pwd)
cd "$root"

fail() {
    echo "setup: $*" >&2
    exit 1
}

require_python_3_11() {
    local found
    found=$("$1" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2>/dev/null) ||
        fail "expected Python 3.11 or newer as '$1', found none that runs; name one with 'make setup PYTHON=/path/to/python3.11'"
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        fail "expected Python 3.11 or newer as '$1', found $found; name another with 'make setup PYTHON=/path/to/python3.11' (and remove $venv if it was made with the old one)"
}

# Runs pip with its output in a log, and shows the log's end when pip fails.
step() {
    local what=$1 started=$SECONDS
    shift
    echo "setup: $what ..."
    if ! "$@" >>"$log" 2>&1; then
        tail -n 15 "$log" >&2
        fail "'$what' failed; the lines above are the end of $log"
    fi
    echo "setup: $what: done in $((SECONDS - started)) s"
}

if [ -x "$venv/bin/python" ] && "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    require_python_3_11 "$venv/bin/python"
else
    require_python_3_11 "$python"
    "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        fail "'$python' cannot make virtual environments; on Debian and Ubuntu: apt-get install python3-venv"
    "$python" -m venv "$venv"
fi

log=$venv/setup.log
: >"$log"
pip=("$venv/bin/python" -m pip --disable-pip-version-check install --no-input)

# torch alone and first: were it left to the resolver among sixty packages, one of them could pull
# in another release, which is several GB where it is a CUDA build.
step "PyTorch (0.8 GB; several GB where pip takes a CUDA build)" \
    "${pip[@]}" -c constraints.txt torch
step "this toolkit and what it needs (2.1 GB)" \
    "${pip[@]}" -c constraints.txt --editable '.[people,poisson,dev]'

# pyrender demands PyOpenGL 3.1.0, in which OSMesa contexts cannot be created. 3.1.10 serves EGL
# and OSMesa alike. 'pip check' names this pair from now on.
step "PyOpenGL 3.1.10 over pyrender's 3.1.0" \
    "${pip[@]}" --no-deps PyOpenGL==3.1.10

# anny prepares its body model at the first load. Done here, neither the demo nor the tests wait
# for it; once it is prepared, this loads it from the cache.
step "body model of the demo people (the first time 1 to 4 minutes; 0.8 GB in ~/.cache/anny)" \
    "$venv/bin/python" -c 'from dataset.people.anatomy import load_anny; load_anny()'

# The pose detector of photographs and scans: its package without the OpenCV that it would bring,
# which 'pip check' names too, and its networks.
step "pose detector (the first time 0.1 GB; 10 MB in ~/.cache/2k2k-toolkit)" \
    "$venv/bin/python" -c 'from dataset.detectors import setup_pose; setup_pose()'
