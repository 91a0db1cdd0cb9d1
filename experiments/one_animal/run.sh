#!/usr/bin/env bash
# Brown trout against chub and perch, small: three folds, four random points, a grid over the rate, twelve epochs.
#   experiments/one_animal/run.sh FISHCAM WEIGHTS [more settings]
set -euo pipefail
photos=$1 weights=$2
shift 2
fishnet study study=one_animal data=folder "data.root=$photos" 'data.group=(.+)_frame' data.positive=browntrout \
  'data.classes=[browntrout,chub,perch]' folds=3 jobs=2 trainer.precision=32-true trainer.max_epochs=12 \
  study.stages.random.search.trials=4 '~study.stages.grid.search.space.data' \
  "study.stages.arms.search.points.transfer.model.pretrained=$weights" callbacks.heatmaps=null "$@"
