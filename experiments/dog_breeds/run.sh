#!/usr/bin/env bash
# Three fish instead of three dogs, small: six TPE trials of the small CNN at 64 pixels, twelve epochs, and MobileNetV2
# and EfficientNet-lite0, whose weights are at hand, in the place of the three larger networks.
#   experiments/dog_breeds/run.sh FISHCAM MOBILENETV2 LITE0 [more settings]
set -euo pipefail
photos=$1 weights=$2 lite0=$3
shift 3
arms=study.stages.arms.search.points
net="base: dog_breeds/transfer, model: {backbone: mobilenetv2_100, backbone_args: {pad_type: same}, pretrained: '$weights'}"
lite="base: dog_breeds/transfer, model: {backbone: tf_efficientnet_lite0, pretrained: '$lite0'}"
fishnet study study=dog_breeds data=folder "data.root=$photos" 'data.group=(.+)_frame' 'data.classes=[bream,chub,nase]' \
  jobs=2 trainer.precision=32-true trainer.max_epochs=12 study.stages.cnn.search.trials=6 \
  'study.stages.cnn.set={data: {image_size: 64}}' \
  "~$arms.vgg16" "~$arms.vgg16_augmented" "~$arms.resnet50" "~$arms.resnet50_augmented" \
  "~$arms.inception_v3" "~$arms.inception_v3_augmented" \
  "$arms.mobilenetv2={$net}" "$arms.mobilenetv2_augmented={$net, data: {augment: photo, views: 4}}" \
  "$arms.efficientnet_lite0={$lite}" "$arms.efficientnet_lite0_augmented={$lite, data: {augment: photo, views: 4}}" "$@"
