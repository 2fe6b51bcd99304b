#!/usr/bin/env bash
# Installs the system's GL libraries where they are missing and that is allowed; otherwise says
# which packages are missing and goes on, since training and scoring of maps need no GL.
set -euo pipefail

needed=(libegl1 libgl1 libgles2 libgl1-mesa-dri)
optional=(libosmesa6) # second choice where EGL gives no context; gone from the newest releases

is_installed() {
    dpkg-query -W -f='${Status}' "$1" 2>/dev/null | grep -q '^install ok installed'
}

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    if ! PATH=$PATH:/sbin:/usr/sbin ldconfig -p 2>/dev/null | grep -q 'libEGL\.so\.1'; then
        echo "setup: rendering needs your distribution's equivalents of ${needed[*]}; libEGL.so.1 was not found." >&2
    fi
    exit 0
fi

missing=()
for package in "${needed[@]}"; do
    is_installed "$package" || missing+=("$package")
done
missing_optional=()
for package in "${optional[@]}"; do
    is_installed "$package" || missing_optional+=("$package")
done
[ ${#missing[@]} -gt 0 ] || [ ${#missing_optional[@]} -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    if [ ${#missing[@]} -eq 0 ]; then
        exit 0 # not worth asking for a password
    elif command -v sudo >/dev/null && { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
        as_root=(sudo)
    else
        echo "setup: rendering needs system packages that are missing; have an administrator run: apt-get install ${missing[*]}" >&2
        exit 0
    fi
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
install() {
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y --no-install-recommends "$@" >>"$log" 2>&1
}

echo "setup: system packages ${missing[*]} ${missing_optional[*]} ..."
"${as_root[@]}" apt-get update >>"$log" 2>&1 || true # an old package list may still do
if [ ${#missing[@]} -gt 0 ] && ! install "${missing[@]}"; then
    tail -n 15 "$log" >&2
    echo "setup: could not install ${missing[*]} (the lines above are apt-get's last); rendering needs them." >&2
    exit 1
fi
[ ${#missing_optional[@]} -eq 0 ] || install "${missing_optional[@]}" || true
