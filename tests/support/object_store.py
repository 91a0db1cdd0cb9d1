"""An object store on loopback (moto), which answers some requests by an error where a test asks for it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

ENVIRONMENT = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1"}


class ObjectStore:
    """`trouble` is a status and how often it is answered: 1 for each request, 3 for every third."""

    def __init__(self) -> None:
        from moto.server import DomainDispatcherApplication, create_backend_app
        from werkzeug.serving import make_server

        self.trouble: tuple[str, int] | None = None
        self.asked = 0
        self._app = DomainDispatcherApplication(create_backend_app)
        self._server = make_server("127.0.0.1", 0, self._answer, threaded=True)
        self.environment = {**ENVIRONMENT, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self._server.port}"}

    def _answer(self, environ, begin):
        self.asked += 1
        if self.trouble is not None and self.asked % self.trouble[1] == 0:
            begin(self.trouble[0], [("Content-Type", "application/xml")])
            return [b""]
        return self._app(environ, begin)

    @contextmanager
    def running(self) -> Iterator["ObjectStore"]:
        thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            thread.join()

    def client(self):
        import boto3

        return boto3.client("s3", endpoint_url=self.environment["AWS_ENDPOINT_URL"])
