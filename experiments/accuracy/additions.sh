#!/usr/bin/env bash
# experiment=fine_tune and seven additions to it, five folds each, at 128 pixels.
#   experiments/accuracy/additions.sh FOLDER MOBILENETV2 [more settings]
set -euo pipefail
photos=$1 weights=$2
shift 2
fishnet study study=fine_tune_with --config-dir "$(dirname "$0")/conf" data=folder "data.root=$photos" \
  model.backbone=mobilenetv2_100 'model.backbone_args={pad_type: same}' "model.pretrained=$weights" \
  data.image_size=128 callbacks.heatmaps=null callbacks.views=null "$@"
