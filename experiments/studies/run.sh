#!/usr/bin/env bash
# Twenty trials of which seven die: the table says which and why.
#   experiments/studies/run.sh [more settings]        from the top of the checkout
set -uo pipefail
conf=$(mktemp -d)
mkdir "$conf/study"
cp experiments/studies/deaths.yaml "$conf/study/"
fishnet study study=deaths --config-dir "$conf" trainer=smoke trainer.precision=32-true \
  jobs=2 limit=0.03 memory=4 "$@"
echo "exit status $?"
