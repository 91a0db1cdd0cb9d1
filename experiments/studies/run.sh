#!/usr/bin/env bash
# Twenty trials of which seven die: the table says which and why, and the exit status is 1.
#   experiments/studies/run.sh [more settings]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
conf=$(mktemp -d)
trap 'rm -r "$conf"' EXIT
mkdir "$conf/study"
cp "$here/deaths.yaml" "$conf/study/"
PYTHONPATH=$(dirname "$(dirname "$here")") fishnet study study=deaths --config-dir "$conf" trainer=smoke \
  trainer.precision=32-true jobs=2 limit=0.03 memory=4 "$@"
