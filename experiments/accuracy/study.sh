#!/usr/bin/env bash
# A study of experiment=fine_tune, of those in conf/study beside this file, at 128 pixels.
#   experiments/accuracy/study.sh fine_tune_with|fine_tune_rates FOLDER MOBILENETV2 [more settings]
set -euo pipefail
study=$1 photos=$2 weights=$3
shift 3
fishnet study "study=$study" --config-dir "$(dirname "$0")/conf" data=folder "data.root=$photos" \
  model.backbone=mobilenetv2_100 'model.backbone_args={pad_type: same}' "model.pretrained=$weights" \
  data.image_size=128 callbacks.heatmaps=null callbacks.views=null "$@"
