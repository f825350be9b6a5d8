#!/bin/sh
# Give every version in laptop.lock the sha256 of each of its files, as the package index tells them: `make hashes`. Versions stay as they are.
#
# Of torch there are two builds of one version: the index has that for CUDA; where pip is set up to find the one for CPUs alone, it takes
# that. Run this there, and both are listed, so that either installs. What torch for CUDA needs besides is not listed (Makefile).
set -eu
lock=envs/laptop.lock
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet uv
grep -o '^[A-Za-z0-9._-]*==[^ \\]*' "$lock" > "$folder/plain"
"$folder/venv/bin/uv" pip compile --quiet --no-deps --generate-hashes --no-annotate --no-header --python-version 3.11 "$folder/plain" -o "$folder/hashed"
"$folder/venv/bin/python" -m pip download --quiet --no-deps --dest "$folder" "$(grep '^torch==' "$folder/plain")"
own=$(sha256sum "$folder"/torch-*.whl | cut -d ' ' -f 1)
grep -q "$own" "$folder/hashed" || sed -i "/^torch==/a\\    --hash=sha256:$own \\\\" "$folder/hashed"
{
  echo '# Made by `make lock` from laptop.in: exact versions of everything, each with the sha256 of every file that it may be installed from.'
  cat "$folder/hashed"
} > "$lock"
