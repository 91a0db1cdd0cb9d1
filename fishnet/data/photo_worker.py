"""Reads photos in a process of its own, so that a decoder that crashes or never ends costs one photo.

`fishnet.data.scan` starts it as a plain child with two pipes: neither fork, which is unsafe beside threads
and CUDA, nor multiprocessing's spawn, which would run the user's script a second time.
"""

import hashlib
import json
import signal
import sys
import time
import warnings

from fishnet.data.duplicates import phash
from fishnet.images import RefusedImage, UnreadableFile, load_image, read_bytes

CPU_SECONDS = 20  # a photo; the largest that the loader admits takes about two
_HASH_SIDE = 256  # eight times what the hash looks at: smaller decodings move its bits


def read_photo(path: str) -> dict:
    """What the index keeps of one photo, or the reason for its refusal."""
    try:
        data = read_bytes(path)
        image = load_image(data, min_side=_HASH_SIDE)
    except RefusedImage as refusal:
        return {"reason": str(refusal), "again": isinstance(refusal, UnreadableFile)}
    width, height = image.info["full_size"]
    digest = hashlib.sha256(data).hexdigest()
    return {"sha256": digest, "phash": phash(image), "width": width, "height": height, "reason": ""}


def main() -> None:
    """Answers each line (a path in JSON) by a line, until the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which closes the pipe
    warnings.simplefilter("ignore")
    print("ready", flush=True)
    for line in sys.stdin:
        _limit_cpu()
        print(json.dumps(read_photo(json.loads(line))), flush=True)


def _limit_cpu() -> None:
    if sys.platform != "win32":
        import resource

        hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
        soft = int(time.process_time()) + CPU_SECONDS + 1
        resource.setrlimit(resource.RLIMIT_CPU, (soft if hard < 0 else min(soft, hard), hard))
