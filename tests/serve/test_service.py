"""What a client of the service gets: the answers of `fishnet predict`, their evidence, and plain refusals."""

import numpy as np
import pytest
import requests
import torch
from PIL import Image

from fishnet.data.photos import read_photo
from fishnet.data.views import view_box
from fishnet.models.bundle import read_bundle
from tests.support.service import CLASSES
from tests.support.uploads import encoded, jpeg, kinds, picture


@pytest.fixture(scope="module")
def model(bundle):
    return read_bundle(bundle).model


def logits_of(model, data: bytes) -> np.ndarray:
    view = torch.from_numpy(read_photo(data, model.preprocessing).view).permute(2, 0, 1)
    with torch.inference_mode():
        return model(view[None])[0].numpy()


def by_name(answer: dict, key: str = "logit") -> np.ndarray:
    values = {each["name"]: each[key] for each in answer["classes"]}
    return np.array([values[name] for name in CLASSES])


@pytest.mark.parametrize("kind", list(kinds()))
def test_every_kind_of_photo_is_answered_as_offline(service, model, kind):
    data = kinds()[kind]
    (answer,) = service.predict(data).json()["photos"]
    expected = logits_of(model, data)
    assert np.abs(by_name(answer) - expected).max() < 1e-5
    assert answer["predicted"] == CLASSES[int(expected.argmax())]
    probabilities = model.probabilities(torch.from_numpy(expected)).numpy()
    assert np.allclose(by_name(answer, "probability"), probabilities, atol=1e-6)


def test_each_photo_of_a_request_has_its_own_digest_name_and_answer(service, model):
    photos = [jpeg(seed) for seed in range(9)]
    names = [f"../../etc/{number}.jpg" for number in range(9)]
    answers = service.predict(*photos, names=names).json()["photos"]
    assert [answer["name"] for answer in answers] == [f"{number}.jpg" for number in range(9)]
    assert [answer["sha256"] for answer in answers] == [read_photo(p, model.preprocessing).sha256 for p in photos]
    for answer, data in zip(answers, photos, strict=True):
        assert np.abs(by_name(answer) - logits_of(model, data)).max() < 1e-5


def test_heatmaps_are_of_the_classes_that_were_asked_for_and_add_up(service, model):
    data = jpeg(1)
    (answer,) = service.predict(data, heatmap=["perch", "鲤"]).json()["photos"]
    assert set(answer["heatmaps"]) == {"perch", "鲤"}
    bias = model.network.head.bias.detach().numpy()
    for name, values in answer["heatmaps"].items():
        number = CLASSES.index(name)
        assert np.sum(values) + bias[number] == pytest.approx(logits_of(model, data)[number], abs=1e-3)
    left, top, side, _ = view_box(90, 70, model.preprocessing)
    view = answer["view"]
    assert (view["left"] * 90, view["top"] * 70, view["width"] * 90) == pytest.approx((left, top, side))


def test_a_jpeg_with_a_grey_rest_is_answered_and_said_to_be_cut(service):
    spots = Image.fromarray(np.random.default_rng(5).integers(0, 255, (40, 60, 3), np.uint8))
    data = encoded(spots.resize((640, 480), Image.Resampling.BICUBIC), "JPEG")
    cut, whole = service.predict(data[: len(data) // 2] + b"\xff\xd9", data).json()["photos"]
    assert cut["predicted"] and cut["grey_rest"] == pytest.approx(0.5, abs=0.1)
    assert whole["predicted"] and whole["grey_rest"] == 0


def test_what_looks_like_none_of_the_classes_is_said_to_be_so(service):
    noise = encoded(Image.fromarray(np.random.default_rng(0).integers(0, 256, (70, 90, 3), np.uint8)), "PNG")
    for more in ({}, {"heatmap": "perch"}):
        answers = service.predict(noise, *[jpeg(1000 + seed) for seed in range(12)], **more).json()["photos"]
        strange = [answer["none_of_these"] for answer in answers]
        assert strange[0] is True and strange[1:].count(True) <= 3


def test_several_photos_of_no_class_are_said_to_be_so_together(service):
    rng = np.random.default_rng(0)
    noise = [encoded(Image.fromarray(rng.integers(0, 256, (70, 90, 3), np.uint8)), "PNG") for _ in range(2)]
    assert service.predict(*noise, jpeg(1000), together=True).json()["together"]["none_of_these"] is True
    known = service.predict(*[jpeg(1000 + seed) for seed in range(9)], noise[0], together=True).json()
    assert known["together"]["none_of_these"] is False


def test_a_list_of_classes_limits_the_answer(service, model):
    data, among = jpeg(2), ["perch", "grand brochet"]
    (answer,) = service.predict(data, classes=among).json()["photos"]
    logits = torch.from_numpy(logits_of(model, data))[:2]
    assert [each["name"] for each in answer["classes"]] == [among[i] for i in logits.argsort(descending=True)]
    assert sum(each["probability"] for each in answer["classes"]) == pytest.approx(1)
    assert [len(service.predict(data, top=k).json()["photos"][0]["classes"]) for k in (1, 3)] == [1, 3]
    called = service.predict(data, classes=["European perch", "grand brochet"], heatmap="Perca fluviatilis").json()
    shares = [{each["name"]: each["probability"] for each in a["classes"]} for a in (called["photos"][0], answer)]
    assert shares[0] == pytest.approx(shares[1], abs=1e-4)
    assert [*called["photos"][0]["heatmaps"]] == ["perch"]
    twice = service.predict(data, classes=["European perch", "perch"])
    assert twice.status_code == 422 and "named twice" in twice.text


def test_photos_of_one_animal_have_one_answer(service):
    photos = [jpeg(seed) for seed in range(3)]
    answer = service.predict(*photos, together=True).json()
    mean = np.mean([by_name(photo, "probability") for photo in answer["photos"]], axis=0)
    assert np.allclose(by_name(answer["together"], "probability"), mean, atol=1e-6)
    assert answer["together"]["photos"] == 3 and answer["together"]["predicted"] == CLASSES[int(mean.argmax())]


def test_a_photo_that_cannot_be_read_is_named_beside_those_that_can(service):
    answer = service.predict(jpeg(), b"GIF89a", names=["good.jpg", "bad.gif"])
    good, bad = answer.json()["photos"]
    assert answer.status_code == 200 and good["predicted"] and not good["problem"]
    assert "cut short" in bad["problem"] and bad["predicted"] is None
    alone = service.predict(b"<html>", names=["page.jpg"])
    (page,) = alone.json()["photos"]
    assert page["problem"] == "a web page or text, not a photo" and len(page["sha256"]) == 64


def test_a_single_photo_may_be_the_body(service):
    answer = requests.post(f"{service.url}/predict", data=jpeg(3), headers={"Content-Type": "image/jpeg"}, timeout=30)
    assert answer.json()["photos"][0]["predicted"] == service.predict(jpeg(3)).json()["photos"][0]["predicted"]


def test_what_a_photo_says_of_its_place_is_not_repeated(service):
    exif = Image.Exif()
    exif[0x010F] = "Canon"
    answer = service.predict(encoded(picture(), exif=exif.tobytes()))
    assert answer.status_code == 200 and "Canon" not in answer.text and "Canon" not in service.text


REFUSED = [
    ({"params": {"classes": ["perch", "shark"]}}, 422, "classes: the model does not know shark."),
    ({"params": {"classes": ["perch"]}}, 422, "classes: name two or more."),
    ({"params": {"heatmap": "shark"}}, 422, "heatmap: the model does not know shark."),
    ({"params": {"top": "0"}}, 422, "query.top: Input should be greater than or equal to 1"),
    ({"files": [("other", ("a.jpg", jpeg()))]}, 400, "The form's parts have to be photos by the name photos."),
    ({"files": [("photos", ("a.jpg", jpeg()))] * 17}, 400, "Too many files"),
    ({"files": [("photos", ("a.jpg", b"\xff\xd8\xff" + bytes(11 * 2**20)))]}, 413, "A photo is larger than 10 MB."),
    ({"files": None, "data": b"{}", "headers": {"Content-Type": "application/json"}}, 415, "Send photos as"),
    ({"files": None, "data": b"x", "headers": {"Content-Type": "multipart/form-data"}}, 400, "Missing boundary"),
    ({"headers": {"Host": "rebound.example"}}, 421, "not known by this name"),
    ({"headers": {"Origin": "https://other.example"}}, 403, "Another site's page"),
    ({"headers": {"Origin": "http://[::1"}}, 403, "Another site's page"),
]


@pytest.mark.parametrize(("changed", "status", "words"), REFUSED)
def test_refusals_are_one_sentence(service, changed, status, words):
    request = {"files": [("photos", ("a.jpg", jpeg()))]} | changed
    answer = requests.post(f"{service.url}/predict", timeout=30, **request)
    assert answer.status_code == status and words in answer.json()["detail"]


@pytest.mark.parametrize("charset", ["undefined", "idna", "punycode"])
def test_the_sender_chooses_no_codec(service, charset):
    part = b'--x\r\nContent-Disposition: form-data; name="photos"; filename="xn--a-.jpg"\r\n\r\n' + jpeg()
    headers = {"Content-Type": f"multipart/form-data; boundary=x; charset={charset}"}
    body = part + b"\r\n--x--\r\n"
    answer = requests.post(f"{service.url}/predict", data=body, headers=headers, timeout=30)
    assert answer.status_code == 200 and answer.json()["photos"][0]["name"] == "xn--a-.jpg"


def test_answers_protect_their_reader_and_pass_the_trace_on(service):
    trace = f"00-{'ab' * 16}-{'cd' * 8}-01"
    for path in ("/", "/healthz", "/nothing"):
        headers = requests.get(
            service.url + path, headers={"traceparent": trace, "tracestate": "a=1,b=2"}, timeout=30
        ).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff" and headers["traceparent"] == trace
        assert headers["tracestate"] == "a=1,b=2"
    broken = requests.get(f"{service.url}/healthz", headers={"traceparent": "00-xyz", "tracestate": "a=1"}, timeout=30)
    assert "traceparent" not in broken.headers and "tracestate" not in broken.headers


def test_classes_say_what_an_audit_has_proven(service):
    answer = requests.get(f"{service.url}/classes", timeout=30).json()
    perch, pike, carp, _ = answer["classes"]
    assert perch["shortcut"]["rests_on"] == "what surrounds the animal" and pike["shortcut"] is None
    assert (perch["threshold"], pike["threshold"], carp["threshold"]) == (0.7, 0.8, None)
    assert (perch["called"], pike["called"]) == ("Perca fluviatilis, European perch", "grand brochet")


def test_metrics_count_what_happened(service):
    def count(name: str) -> float:
        text = requests.get(f"{service.url}/metrics", timeout=30).text
        return float(next(line for line in text.splitlines() if line.startswith(name)).rpartition(" ")[2])

    before = [count("fishnet_decode_failures_total"), count('fishnet_photos_total{outcome="answered"}')]
    service.predict(jpeg(), b"nothing")
    assert count("fishnet_decode_failures_total") == before[0] + 1
    assert count('fishnet_photos_total{outcome="answered"}') == before[1] + 1
    assert count("fishnet_queue_photos") == 0
