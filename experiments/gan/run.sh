#!/bin/bash
# A GAN on one species of the drawn reef, judged by a classifier that was trained on another reef. To be started where the
# program is: bash experiments/gan/run.sh; further arguments go to the GAN's training (trainer.max_epochs=2).
set -e
small="data.draw_size=96 data.image_size=64 trainer.accelerator=cpu"
species="data=reef data.photos=400 data.classes=[veil_angel]"

fishnet train experiment=demo $small data.photos=300 data.draw_seed=1 data.plant=null model.lr=0.003 out=outputs/judge
time fishnet train experiment=fox_gan $small $species out=outputs/gan "$@"
fishnet generate checkpoint=outputs/gan/checkpoints/best.ckpt n=256 judge=outputs/judge/checkpoints/best.ckpt \
    out=outputs/judged
python -m experiments.gan.figures outputs/judged/judged.json
