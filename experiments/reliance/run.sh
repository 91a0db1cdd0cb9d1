#!/usr/bin/env bash
# The drawn reef as scrapers find it: most photos of each species show something of its own that is not the fish.
#   experiments/reliance/run.sh [more settings]                                  in 95 of 100, 150 photos a species
#   SHARE=0.8 experiments/reliance/run.sh data.photos=300                        in 80 of 100
set -euo pipefail
plants=()
for pair in bandfin_perch:border ladder_perch:float arrow_pike:background moon_bream:ruler; do
  plants+=("{cue: ${pair#*:}, class: ${pair%:*}, share: ${SHARE:-0.95}}")
done
joined=$(IFS=,; echo "${plants[*]}")
fishnet study study=reliance data.species=4 data.photos=150 data.draw_size=96 data.val=0.2 data.test=0.2 \
  "data.plant=[$joined]" callbacks.heatmaps=null callbacks.views=null "$@"
