"""A bundle under Ray Serve: as many copies of the model as there is load for, on as many machines as Ray has.

    serve run experiments.serve.with_ray:app bundle=/absolute/path/of/BUNDLE
    curl --data-binary @PHOTO.jpg http://127.0.0.1:8000/

Photos are decoded in the copies themselves: put it where the photos come from people whom you know.
"""

from pathlib import Path

from ray import serve
from starlette.requests import Request

from fishnet.models.answers import answers
from fishnet.models.bundle import read_bundle


@serve.deployment(max_queued_requests=64, autoscaling_config={"min_replicas": 1, "max_replicas": 4})
class Classifier:
    """A copy of the model. `folder` is the bundle's, on every machine."""

    def __init__(self, folder: str) -> None:
        self.model = read_bundle(Path(folder)).model

    @serve.batch(max_batch_size=16, batch_wait_timeout_s=0.005)
    async def answer(self, photos: list[bytes]) -> list[dict]:
        found = answers(self.model, photos, batch_size=len(photos))
        named = [dict(zip(self.model.classes, each.probabilities, strict=False)) for each in found]
        return [{"probabilities": probabilities} for probabilities in named]

    async def __call__(self, request: Request) -> dict:
        return await self.answer(await request.body())


def app(arguments: dict[str, str]) -> serve.Application:
    return Classifier.bind(arguments["bundle"])
