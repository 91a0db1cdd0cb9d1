"""Uploads that are meant to do harm: each is answered within seconds, none with a 5xx, and the service lives on."""

import random
import socket
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path

import psutil
import pytest
import requests
from PIL import Image

from tests.support.service import Service
from tests.support.uploads import encoded, jpeg, kinds, picture

pytestmark = pytest.mark.slow
SECONDS = 5.0


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width: int, height: int, data: bytes, depth: int = 8, colour: int = 2) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def scans(count: int, side: int) -> bytes:
    """A progressive JPEG whose last scan is repeated."""
    data = encoded(Image.new("L", (side, side)), progressive=True)
    at = data.rindex(b"\xff\xda")
    return data[:at] + data[at:-2] * count + data[-2:]


def photos() -> dict[str, bytes]:
    """By what is wrong with it."""
    good = kinds()
    found = {"empty": b"", "one byte": b"\xff", "text": b"hello", "html": b"<!doctype html><script>1</script>"}
    found |= {
        "svg": b"<svg xmlns='x'/>",
        "pdf": b"%PDF-1.7 \n",
        "zip": b"PK\x03\x04" + bytes(200),
        "elf": b"\x7fELF" + bytes(99),
    }
    found |= {"gzip": b"\x1f\x8b" + bytes(99), "pickle": b"\x80\x04\x95", "bmp": encoded(picture(), "BMP")}
    found |= {"tiff": encoded(picture(), "TIFF"), "ico": encoded(picture(), "ICO")}
    found |= {f"{kind} cut": data[: len(data) // 2] for kind, data in good.items() if "turned" not in kind}
    found |= {f"{kind} head alone": data[:24] for kind, data in good.items() if "turned" not in kind}
    found |= {f"{kind} with a tail of zeros": data[: len(data) // 3] + bytes(5000) for kind, data in good.items()}
    found |= {"png of 100,000 x 100,000": png(100_000, 100_000, zlib.compress(bytes(1000)))}
    found |= {"png of 0 x 0": png(0, 0, b""), "png of no data": png(64, 64, b"")}
    found |= {"png bomb": png(7000, 7000, zlib.compress(bytes(7000 * (7000 * 3 + 1)), 9))}
    found |= {"png of depth 3": png(64, 64, zlib.compress(bytes(64 * 193)), depth=3)}
    found |= {
        "webp of 16,383 x 16,383": b"RIFF"
        + struct.pack("<I", 22)
        + b"WEBPVP8L"
        + struct.pack("<I", 10)
        + b"/\xff\xff\xff\x0f"
        + bytes(5)
    }
    found |= {
        "gif of 65,535 x 65,535": b"GIF89a\xff\xff\xff\xff\x00\x00\x00,\0\0\0\0\xff\xff\xff\xff\0\x02\x02D\x01\0;"
    }
    found |= {"gif of many comments": b"GIF89a\x01\0\x01\0\0\0\0" + b"!\xfe\xff" + b"a" * 255 * 40_000 + b"\0"}
    found |= {"60 scans of 2,000 x 2,000": scans(60, 2000), "900 scans": scans(900, 64)}
    found |= {"jpeg and zip": good["jpeg"] + b"PK\x03\x04" + bytes(400), "jpeg and html": good["jpeg"] + b"<script>"}
    found |= {"html and jpeg": b"<html>" + good["jpeg"], "jpeg of 65,500 x 700": encoded(Image.new("L", (65_500, 700)))}
    found |= {"many small png chunks": png(64, 64, b"")[:33] + chunk(b"tEXt", b"a\0b") * 100_000 + chunk(b"IEND", b"")}
    found |= {
        "png with a huge text": good["png"][:33]
        + chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(50_000_000), 9))
        + good["png"][33:]
    }
    found |= {"icc of nonsense": encoded(picture(), icc_profile=bytes(60_000))}
    found |= {"exif of nonsense": encoded(picture(), exif=b"Exif\0\0II*\0\xff\xff\xff\xff" + bytes(60_000))}
    return found


@pytest.fixture(scope="module")
def service(bundle):
    with Service(bundle, "queue=64") as running:
        yield running


def held(service: Service) -> float:
    """Private memory of the service and its workers, in MB."""
    return sum(process.memory_full_info().uss for process in service.family()) / 2**20


def test_more_than_sixty_hostile_photos(service):
    cases = photos()
    assert len(cases) > 60
    service.predict(jpeg())
    before, workers = held(service), len(service.workers())
    for name, data in cases.items():
        started = time.monotonic()
        answer = service.predict(data, names=[name])
        took = time.monotonic() - started
        assert answer.status_code in (200, 413, 422), (name, answer.status_code, answer.text)
        assert took < SECONDS, (name, took)
    assert service.predict(jpeg()).status_code == 200 and len(service.workers()) == workers
    assert held(service) < before + 300


def test_a_thousand_photos_with_changed_bytes(service):
    rng, good = random.Random(1), list(kinds().values())
    session = requests.Session()
    for _ in range(1000):
        data = bytearray(rng.choice(good))
        for _ in range(rng.choice((1, 3, 30))):
            data[rng.randrange(len(data))] = rng.randrange(256)
        started = time.monotonic()
        answer = session.post(f"{service.url}/predict", files={"photos": ("a", bytes(data))}, timeout=30)
        assert answer.status_code in (200, 422) and time.monotonic() - started < SECONDS


def exchange(service: Service, *parts: bytes, pause: float = 0.0, patience: float = 20.0) -> tuple[bytes, float]:
    """What is answered to bytes that are sent one after the other, and in how many seconds."""
    started = time.monotonic()
    with socket.create_connection(("127.0.0.1", service.port), timeout=patience) as connection:
        try:
            for part in parts:
                connection.sendall(part)
                time.sleep(pause)
            answer = connection.recv(65536)
        except (ConnectionError, TimeoutError) as error:
            answer = type(error).__name__.encode()
    return answer, time.monotonic() - started


HEAD = b"POST /predict HTTP/1.1\r\nHost: localhost\r\n"
FORM = HEAD + b"Content-Type: multipart/form-data; boundary=x\r\n"


def form(body: bytes, length: int | None = None) -> bytes:
    return FORM + b"Content-Length: %d\r\n\r\n" % (len(body) if length is None else length) + body


PART = b'--x\r\nContent-Disposition: form-data; name="photos"; filename="a.jpg"\r\n\r\n'
MALFORMED = {
    "no form": form(b"nothing"),
    "an open part": form(PART),
    "a part without a name": form(b"--x\r\nContent-Disposition: form-data\r\n\r\nx\r\n--x--\r\n"),
    "a part without a disposition": form(b"--x\r\nContent-Type: image/jpeg\r\n\r\nx\r\n--x--\r\n"),
    "a field, no file": form(b'--x\r\nContent-Disposition: form-data; name="photos"\r\n\r\nx\r\n--x--\r\n'),
    "a broken header": form(b"--x\r\nContent-Disposition\x00: form-data\r\n\r\nx\r\n--x--\r\n"),
    "a header without an end": form(b"--x\r\n" + b"A: " + b"a" * 100_000 + b"\r\n--x--\r\n"),
    "many headers": form(b"--x\r\n" + b"A: b\r\n" * 50_000 + b"\r\nx\r\n--x--\r\n"),
    "many parts": form((PART + b"x\r\n") * 500 + b"--x--\r\n"),
    "a name of nonsense": form(PART.replace(b"a.jpg", b"\xff\xfe\x00") + b"x\r\n--x--\r\n"),
    "a long name": form(PART.replace(b"a.jpg", b"a" * 60_000) + b"x\r\n--x--\r\n"),
    "a length below zero": FORM + b"Content-Length: -5\r\n\r\n",
    "two lengths": FORM + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    "a broken chunk": FORM + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n",
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64),
    "a long head": HEAD + b"A: " + b"a" * 200_000 + b"\r\n\r\n",
    "no host": b"POST /predict HTTP/1.1\r\n\r\n",
    "a strange host": b"GET /healthz HTTP/1.1\r\nHost: [::1\r\n\r\n",
    "a strange path": b"GET /%00%ff/../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n",
}


@pytest.mark.parametrize("case", list(MALFORMED))
def test_malformed_requests(service, case):
    answer, took = exchange(service, MALFORMED[case])
    assert took < SECONDS
    named = case == "a name of nonsense" and answer.startswith(b"HTTP/1.1 200")  # and its file is no photo
    assert named or answer.startswith(b"HTTP/1.1 4") or answer == b"ConnectionResetError", answer[:200]
    assert requests.get(f"{service.url}/readyz", timeout=10).status_code == 200


def test_a_hundred_megabytes_are_refused_before_they_are_held(service):
    before, size = held(service), 100 * 2**20
    claimed, took = exchange(service, form(PART, length=1000 * 2**20))
    assert claimed.startswith(b"HTTP/1.1 413") and took < SECONDS
    pieces = (bytes(2**16) for _ in range(size // 2**16))
    photo, took = exchange(service, form(PART, length=size), *pieces)
    assert photo.startswith((b"HTTP/1.1 413", b"Connection", b"BrokenPipe")) and took < SECONDS
    chunks = (b"10000\r\n" + bytes(2**16) + b"\r\n" for _ in range(size // 2**16))
    start = FORM + b"Transfer-Encoding: chunked\r\n\r\n10000\r\n" + PART.ljust(2**16) + b"\r\n"
    unsaid, took = exchange(service, start, *chunks)
    assert unsaid.startswith((b"HTTP/1.1 413", b"Connection", b"BrokenPipe")) and took < SECONDS
    assert held(service) < before + 100
    assert service.predict(jpeg()).status_code == 200


def test_slow_clients_are_given_up_and_hold_up_nobody(service):
    heads = [socket.create_connection(("127.0.0.1", service.port), timeout=30) for _ in range(60)]
    bodies = [socket.create_connection(("127.0.0.1", service.port), timeout=30) for _ in range(60)]
    for connection in heads:
        connection.sendall(b"POST /pred")
    for connection in bodies:
        connection.sendall(form(PART + jpeg()[:100], length=5000))
    started = time.monotonic()
    answer = service.predict(jpeg())
    assert answer.status_code == 200 and time.monotonic() - started < 2
    for connection in heads:
        assert connection.recv(1000) == b""  # closed
    for connection in bodies:
        assert connection.recv(1000).startswith(b"HTTP/1.1 408")
    assert time.monotonic() - started < 12
    for connection in (*heads, *bodies):
        connection.close()


def test_chunks_of_a_byte_are_refused_and_ordinary_ones_are_not(service):
    start, piece = HEAD + b"Content-Type: image/jpeg\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n" * 20_000
    answer, took = exchange(service, start, *[piece] * 20)
    assert answer.startswith((b"HTTP/1.1 400", b"Connection", b"BrokenPipe")) and took < SECONDS
    data = jpeg()
    chunks = [data[at : at + 500] for at in range(0, len(data), 500)]
    headers = {"Content-Type": "image/jpeg"}
    answer = requests.post(f"{service.url}/predict", data=iter(chunks), headers=headers, timeout=30)
    assert answer.status_code == 200 and answer.json()["photos"][0]["predicted"]


def test_a_body_that_trickles_is_given_up_in_the_end(bundle):
    """Each byte comes in time, the whole does not."""
    with Service(bundle, "upload_seconds=3") as service:
        answer, took = exchange(service, form(PART, length=100_000), *[b"a"] * 20, pause=0.5)
        assert took < 12 and (answer.startswith(b"HTTP/1.1 408") or b"Reset" in answer or b"Pipe" in answer)


def test_nothing_of_all_this_was_logged_or_kept(service):
    assert service.text.count("\n") < 20, service.text[-2000:]
    main = psutil.Process(service.process.pid)
    kept = [file.path for process in service.family() for file in process.open_files() if "/tmp" in file.path]
    assert all(path == str(service.log) for path in kept), kept
    assert main.num_fds() < 200


def test_whatever_its_own_description_allows_is_answered_as_described(service, tmp_path):
    """Schemathesis, with all of its checks."""
    asked = ["run", f"{service.url}/openapi.json", "--checks", "all", "--max-examples", "150", "--seed", "1"]
    program = Path(sys.executable).with_name("schemathesis")
    ended = subprocess.run([program, *asked], cwd=tmp_path, capture_output=True, text=True, timeout=200, check=False)
    assert ended.returncode == 0, ended.stdout[-3000:]
    assert "No issues found" in ended.stdout
