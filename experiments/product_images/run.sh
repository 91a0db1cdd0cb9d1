#!/usr/bin/env bash
# The five stages on three classes of river fish, small: 80 pixels, few epochs; weights for two networks of six.
#   experiments/product_images/run.sh FISHCAM MOBILENETV2 LITE0 [more settings]
set -euo pipefail
photos=$1 weights=$2 lite0=$3
shift 3
nets=study.stages.sizes.search.points
untrained=()  # of these no weights are at hand
for net in xception inception_v3 inception_resnet_v2 densenet121; do
  untrained+=("+$nets.$net.model.pretrained=false")
done
fishnet study study=product_images jobs=2 data=folder "data.root=$photos" 'data.group=(.+)_frame' \
  'data.classes=[burbot,nase,perch]' trainer.precision=32-true "$nets.mobilenetv2.model.pretrained=$weights" \
  "${untrained[@]}" "+$nets.efficientnet_lite0={model: {backbone: tf_efficientnet_lite0, pretrained: '$lite0'}}" \
  'study.stages.sizes.search.space.data.image_size=[80]' 'study.stages.sizes.search.space.data.batch_size=[16]' \
  'study.stages.sizes.search.space.trainer.max_epochs=[5,10]' study.stages.augmented.set.data.views=1 \
  'study.stages.fine_tuned.search.space.trainer.max_epochs=[4]' range_test.steps=60 "$@"
