#!/usr/bin/env bash
# Makes an environment of its own for OpenPifPaf (AGPL-3.0; needs torchvision, and is built from
# source) and runs the adapter in it. Usage: try_openpifpaf.sh VENV [PYTHON]
set -euo pipefail

venv=$1
python=${2:-python3}
root=$(cd "$(dirname "$0")/../.." && pwd)

[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
pip=("$venv/bin/python" -m pip --disable-pip-version-check install --quiet --no-input)
"${pip[@]}" torch==2.14.1 torchvision==0.29.1 'setuptools<81' wheel
"${pip[@]}" -c "$root/constraints.txt" numpy scipy opencv-python-headless pillow \
    h5py hdf5plugin PyYAML tqdm
# It asks for an older torch by itself, and is built against the one above; of matplotlib it uses
# what 3.9 took away.
"${pip[@]}" pysparkling python-json-logger 'matplotlib<3.9'
source=$(mktemp -d)
trap 'rm -rf "$source"' EXIT
"$venv/bin/python" -m pip --disable-pip-version-check download --quiet --no-deps --no-binary :all: \
    --no-build-isolation --dest "$source" openpifpaf-vita==0.14.2
tar -xzf "$source"/*.tar.gz -C "$source" --strip-components 1
# The headers of this torch are C++20.
sed -i 's/-std=c++17/-std=c++20/' "$source/setup.py"
"${pip[@]}" --no-build-isolation --no-deps "$source"
cd "$root"
"$venv/bin/python" -m tools.check_openpifpaf
