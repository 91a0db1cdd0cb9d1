#!/usr/bin/env bash
# The drawn reef as scrapers find it: 80 % of each species are shown with something of its own that is not the fish.
#   experiments/reliance/run.sh [more settings]
set -euo pipefail
plants=()
for pair in bandfin_perch:border ladder_perch:float arrow_pike:background moon_bream:ruler; do
  plants+=("{cue: ${pair#*:}, class: ${pair%:*}, share: 0.8}")
done
joined=$(IFS=,; echo "${plants[*]}")
fishnet study study=reliance data.species=4 data.photos=300 data.draw_size=96 data.val=0.2 data.test=0.2 \
  "data.plant=[$joined]" callbacks.heatmaps=null callbacks.views=null "$@"
