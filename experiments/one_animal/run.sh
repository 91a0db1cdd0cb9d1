#!/usr/bin/env bash
# Brown trout against chub and perch, small: three folds, four random points, a grid over the rate, twelve epochs.
# Transfer from two networks: MobileNetV2 and EfficientNet-lite0.
#   experiments/one_animal/run.sh FISHCAM MOBILENETV2 LITE0 [more settings]
set -euo pipefail
photos=$1 weights=$2 lite0=$3
shift 3
arms=study.stages.arms.search.points
net="from: null, base: one_animal/transfer, model: {backbone: tf_efficientnet_lite0, pretrained: '$lite0'}"
fishnet study study=one_animal data=folder "data.root=$photos" 'data.group=(.+)_frame' data.positive=browntrout \
  'data.classes=[browntrout,chub,perch]' folds=3 jobs=2 trainer.precision=32-true trainer.max_epochs=12 \
  study.stages.random.search.trials=4 '~study.stages.grid.search.space.data' \
  "$arms.transfer.model.pretrained=$weights" "+$arms.transfer_lite0={$net}" callbacks.heatmaps=null "$@"
