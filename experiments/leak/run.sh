#!/usr/bin/env bash
# The leak: five folds grouped by fish, then five folds by frame; everything else alike.
#   experiments/leak/run.sh FISHCAM WEIGHTS [more settings, such as trainer=smoke]
set -euo pipefail
photos=$1 weights=$2
shift 2
common=(
  data=folder "data.root=$photos"
  model.backbone=mobilenetv2_100 model.backbone_args.pad_type=same "model.pretrained=$weights" model.freeze=backbone
  data.folds=5 'data.fold=range(0,5)'
  data.augment=none callbacks.heatmaps=null trainer.precision=32-true
)
fishnet train -m "${common[@]}" 'data.group=(.+)_frame' name=by-fish "$@"
fishnet train -m "${common[@]}" data.group=none data.duplicates=ignore name=by-frame "$@"
fishnet compare last=12 csv=leak.csv overwrite=true
