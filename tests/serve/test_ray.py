"""The README's way beyond one machine: a bundle under Ray Serve, here with a local Ray."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from fishnet.models.answers import answers
from fishnet.models.bundle import read_bundle
from tests.support.servers import free_port
from tests.support.uploads import jpeg

pytestmark = pytest.mark.slow


@pytest.fixture
def patient_ray(ray_at_home, monkeypatch) -> None:
    """Ray ends a proxy of its own that is not up after five seconds, and then gives up: too soon on a busy machine."""
    monkeypatch.setenv("RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S", "60")


@pytest.fixture
def address(bundle, patient_ray):
    """Where a local Ray answers."""
    import ray
    from ray import serve

    from experiments.serve.with_ray import app

    port = free_port()
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, namespace="fishnet")
    try:
        serve.start(http_options={"host": "127.0.0.1", "port": port})
        serve.run(app({"bundle": str(bundle)}))
        yield f"http://127.0.0.1:{port}/"
    finally:
        serve.shutdown()
        ray.shutdown()


def test_it_answers_as_predict_does(address, bundle):
    photos = [jpeg(seed) for seed in range(24)]
    model = read_bundle(bundle).model
    expected = [dict(zip(model.classes, each.probabilities, strict=True)) for each in answers(model, photos, 8)]
    with ThreadPoolExecutor(12) as pool:
        found = list(pool.map(lambda photo: requests.post(address, data=photo, timeout=60).json(), photos))
    for ours, theirs in zip(expected, found, strict=True):
        assert theirs["probabilities"] == pytest.approx(ours, abs=1e-5)
