"""What people write today: a forward pass a request (`plain`), and LitServe with batches.

python experiments/speed/servers.py plain BUNDLE
"""

import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torchvision import transforms

from fishnet.models.bundle import read_bundle


class Answering:
    """A model with its transforms, as the documentation of torchvision writes them."""

    def __init__(self, folder: Path) -> None:
        self.model = read_bundle(folder).model
        seen = self.model.preprocessing
        self.transform = transforms.Compose([
            transforms.Resize(round(seen.size / seen.crop)), transforms.CenterCrop(seen.size), transforms.ToTensor(),
            transforms.Normalize(seen.mean, seen.std),
        ])  # fmt: skip

    def view(self, data: bytes) -> torch.Tensor:
        return self.transform(Image.open(BytesIO(data)).convert("RGB"))

    @torch.inference_mode()
    def probabilities(self, views: torch.Tensor) -> torch.Tensor:
        return self.model.network(views).softmax(dim=1)


def plain(folder: Path) -> None:
    import uvicorn
    from fastapi import FastAPI, UploadFile

    app, answering = FastAPI(), Answering(folder)

    @app.post("/predict")
    def predict(photos: UploadFile) -> dict[str, Any]:
        view = answering.view(photos.file.read())
        return {"probabilities": answering.probabilities(view[None])[0].tolist()}

    class Server(uvicorn.Server):
        async def startup(self, sockets=None) -> None:
            await super().startup(sockets)
            print(f"http://127.0.0.1:{self.servers[0].sockets[0].getsockname()[1]}/ ", flush=True)

    Server(uvicorn.Config(app, port=0, log_level="error")).run()


if "litserve" in sys.argv:  # its processes look the class up by name
    import litserve
    from fastapi import Request

    class Api(litserve.LitAPI):
        def setup(self, device: str) -> None:
            self.answering = Answering(Path(sys.argv[2]))

        def decode_request(self, request: Request) -> torch.Tensor:
            return self.answering.view(request["photos"].file.read())  # type: ignore[index]

        def predict(self, views: list[torch.Tensor]) -> torch.Tensor:
            return self.answering.probabilities(torch.stack(list(views)))

        def encode_response(self, output: torch.Tensor) -> dict[str, Any]:
            return {"probabilities": output.tolist()}


def batched(folder: Path) -> None:
    port = 18765
    server = litserve.LitServer(Api(max_batch_size=16, batch_timeout=0.005), accelerator="cpu")
    print(f"http://127.0.0.1:{port}/ ", flush=True)
    server.run(port=port, generate_client_file=False, log_level="error", num_api_servers=1)


if __name__ == "__main__":
    {"plain": plain, "litserve": batched}[sys.argv[1]](Path(sys.argv[2]))
