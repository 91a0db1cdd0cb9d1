#!/usr/bin/env bash
# Perch against the rest of the river, small: three folds, few trials, few epochs.
#   experiments/one_animal/run.sh FISHCAM WEIGHTS [more settings]
set -euo pipefail
photos=$1 weights=$2
shift 2
fishnet study study=one_animal data=folder "data.root=$photos" 'data.group=(.+)_frame' data.positive=perch \
  'data.classes=[perch,nase,burbot]' folds=3 jobs=2 trainer.precision=32-true \
  study.stages.random.search.trials=4 '~study.stages.grid.search.space.data' trainer.max_epochs=10 \
  "+study.stages.arms.search.points.transfer.model.pretrained=$weights" callbacks.heatmaps=null "$@"
