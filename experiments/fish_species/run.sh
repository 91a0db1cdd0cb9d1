#!/usr/bin/env bash
# The founding network on the drawn reef, small: 40 photos a species at 96 pixels, ten epochs, two seeds, no weights.
#   experiments/fish_species/run.sh [more settings]
set -euo pipefail
fishnet study study=fish_species data.photos=40 data.image_size=96 trainer.max_epochs=10 study.seeds=2 jobs=2 "$@"
