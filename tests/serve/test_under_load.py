"""Many clients, killed processes and signals: no accepted request is lost without an answer."""

import random
import signal
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import numpy as np
import psutil
import pytest
import requests
import torch

from fishnet.data.photos import read_photo
from fishnet.models.bundle import read_bundle
from tests.support.service import CLASSES, Service
from tests.support.uploads import jpeg

pytestmark = pytest.mark.slow
LOST = "no answer"


def ask(service: Service, data: bytes) -> requests.Response | str:
    """An answer; or that the connection ended without one, or was never accepted."""
    try:
        return requests.post(f"{service.url}/predict", files={"photos": ("a.jpg", data)}, timeout=60)
    except requests.exceptions.ConnectionError as error:
        return "not accepted" if "refused" in str(error).lower() else LOST
    except requests.exceptions.ChunkedEncodingError:  # ended between the head and the body
        return LOST


def many(service: Service, clients: int, each: int, photos: list[bytes]) -> list[tuple[int, requests.Response | str]]:
    """(number of the photo, answer) of clients that ask at the same time, each so many times."""
    start = threading.Barrier(clients)

    def client(number: int) -> list:
        start.wait()
        numbers = [(number * each + turn) % len(photos) for turn in range(each)]
        return [(which, ask(service, photos[which])) for which in numbers]

    with ThreadPoolExecutor(clients) as pool:
        return [answer for answers in pool.map(client, range(clients)) for answer in answers]


def test_two_hundred_clients_of_a_queue_of_32(bundle):
    photos, model = [jpeg(seed) for seed in range(50)], read_bundle(bundle).model
    read = [read_photo(data, model.preprocessing) for data in photos]
    with torch.inference_mode():
        views = torch.from_numpy(np.stack([photo.view for photo in read])).permute(0, 3, 1, 2)
        expected = model(views).numpy()
    with Service(bundle, "queue=32") as service:
        answers = many(service, 200, 5, photos)
        text = requests.get(f"{service.url}/metrics", timeout=10).text
    codes = Counter(getattr(answer, "status_code", answer) for _, answer in answers)
    assert set(codes) <= {200, 503} and codes[200] > 100, codes
    for number, answer in answers:
        if answer.status_code == 503:
            assert answer.headers["retry-after"] == "1"
            continue
        (found,) = answer.json()["photos"]
        logits = {each["name"]: each["logit"] for each in found["classes"]}
        assert found["sha256"] == read[number].sha256
        assert found["predicted"] == CLASSES[int(expected[number].argmax())]
        assert np.abs(np.array([logits[name] for name in CLASSES]) - expected[number]).max() < 1e-5
    assert f'fishnet_requests_total{{code="200"}} {codes[200]}.0' in text
    if codes[503]:
        assert f'fishnet_refusals_total{{reason="full"}} {codes[503]}.0' in text
    sizes = {line.split('"')[1]: float(line.split()[1]) for line in text.splitlines() if "batch_photos_bucket" in line}
    assert sizes["1.0"] < sizes["+Inf"], "some batches had several photos"


def test_a_full_queue_may_answer_429(bundle):
    with Service(bundle, "queue=1", "full_status=429") as service:
        assert requests.get(f"{service.url}/classes", timeout=10).json()["most_photos"] == 1, "more would find no place"
        codes = Counter(getattr(answer, "status_code", answer) for _, answer in many(service, 20, 4, [jpeg()]))
    assert set(codes) == {200, 429}


def test_photos_of_killed_workers_are_decoded_by_others(bundle):
    with Service(bundle, "queue=200") as service, ThreadPoolExecutor(1) as pool:
        answers = pool.submit(many, service, 16, 80, [jpeg(seed) for seed in range(20)])
        killed = 0
        while not answers.done():
            time.sleep(0.5)
            with suppress(psutil.NoSuchProcess):  # the last of the answers may have been given meanwhile
                if workers := service.workers():  # none while the last of them is replaced
                    random.choice(workers).kill()
                    killed += 1
        codes = Counter(getattr(answer, "status_code", answer) for _, answer in answers.result())
        assert killed > 5 and codes == {200: 1280}, (codes, killed)
        assert service.predict(jpeg()).status_code == 200
        assert len(service.workers()) >= 1


@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_after_the_last_answer(bundle, kind):
    with Service(bundle, "queue=500") as service:
        family = service.family()
        with ThreadPoolExecutor(1) as pool:
            answers = pool.submit(many, service, 24, 60, [jpeg(seed) for seed in range(20)])
            time.sleep(1.0)
            service.signal(kind)
            found = Counter(getattr(answer, "status_code", answer) for _, answer in answers.result())
        assert service.process.wait(30) == 0
        assert found[200] > 20 and set(found) <= {200, LOST, "not accepted"}, found
        assert f"{found[200]} requests answered" in service.text, "all that were begun"
        assert found[LOST] <= 5, "at most what the kernel had accepted in the last moment"
        _, alive = psutil.wait_procs(family, timeout=10)
        assert not alive and "Traceback" not in service.text


def test_a_killed_service_leaves_nobody_waiting_and_no_process(bundle):
    with Service(bundle, "queue=500") as service:
        family = service.family()
        with ThreadPoolExecutor(1) as pool:
            answers = pool.submit(many, service, 16, 20, [jpeg(seed) for seed in range(20)])
            time.sleep(0.7)
            started = time.monotonic()
            service.signal(signal.SIGKILL)
            found = Counter(getattr(answer, "status_code", answer) for _, answer in answers.result())
        assert set(found) <= {200, LOST, "not accepted"} and time.monotonic() - started < 10
        _, alive = psutil.wait_procs(family, timeout=15)
        assert not alive


def test_a_token_is_asked_for(bundle, tmp_path):
    (tmp_path / "token").write_text("sesame-open-sesame-open\n")
    with Service(bundle, f"token_file='{tmp_path / 'token'}'") as service:
        for path in ("/classes", "/version", "/metrics", "/openapi.json"):
            assert requests.get(service.url + path, timeout=10).status_code == 401
        assert service.predict(jpeg()).status_code == 401
        known = {"Authorization": "Bearer sesame-open-sesame-open"}
        assert requests.get(f"{service.url}/classes", headers=known, timeout=10).status_code == 200
        lower = {"Authorization": "bearer sesame-open-sesame-open"}  # a scheme's letters may be small
        assert requests.get(f"{service.url}/classes", headers=lower, timeout=10).status_code == 200
        other = {"Authorization": "Basic sesame-open-sesame-open"}
        assert requests.get(f"{service.url}/classes", headers=other, timeout=10).status_code == 401
        for path in ("/", "/healthz", "/readyz"):
            assert requests.get(service.url + path, timeout=10).status_code == 200
        assert "sesame" not in service.text and "sesame" not in " ".join(service.family()[0].cmdline())
