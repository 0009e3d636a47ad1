#!/usr/bin/env bash
# Prepares what the tests in this folder need: `bash tests/clients/prepare.sh FOLDER`, then
# `KERAS_VAE_CLIENTS=FOLDER pytest -n 0 tests/clients`. It needs npm, PyPI, and a Python 3.11 (variable PYTHON).
#   FOLDER/node_modules   playwright-core and LiteRT.js, in the versions of package-lock.json
#   FOLDER/chromium       a link to a Chromium or Chrome of this machine; installed from Debian if there is none
#   FOLDER/old_runtime    a virtual environment with tflite-runtime 2.14, the last version, which needs numpy 1
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
: "${1:?the folder to prepare must be given: bash tests/clients/prepare.sh FOLDER}"
mkdir -p "$1"
folder=$(cd "$1" && pwd)

find_chromium() { command -v chromium || command -v chromium-browser || command -v google-chrome; }
if ! find_chromium > /dev/null; then
    if [ "$(id -u)" != 0 ] || ! command -v apt-get > /dev/null; then
        echo "there is no chromium: install one, or run this as root on Debian" >&2
        exit 1
    fi
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium > /dev/null
fi
ln -sfn "$(find_chromium)" "$folder/chromium"

cp "$here/package.json" "$here/package-lock.json" "$folder/"
npm ci --prefix "$folder" --no-audit --no-fund --loglevel=error

python=${PYTHON:-$(command -v python3.11 || command -v python3)}
"$python" -m venv --clear "$folder/old_runtime"
"$folder/old_runtime/bin/pip" install --quiet "tflite-runtime==2.14.0" "numpy<2"
echo "prepared: KERAS_VAE_CLIENTS=$folder"
