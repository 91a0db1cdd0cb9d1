"""The routes of the service, what they refuse, and how they describe themselves to programs."""

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException

import fishnet
from fishnet.models.bundle import Bundle, read_gallery

from .answering import Answer, Problem, class_facts
from .guards import Guards
from .service import Service, Settings
from .uploads import FIELD, Limits

SCRIPTS = ("page", "card", "csv", "gallery", "heat", "limits", "queue", "service", "texts", "words")
PAGE = {
    "": ("index.html", "text/html; charset=utf-8"),
    "page.css": ("page.css", "text/css; charset=utf-8"),
    "icon.svg": ("icon.svg", "image/svg+xml"),
    **{f"{name}.js": (f"{name}.js", "text/javascript; charset=utf-8") for name in SCRIPTS},
}
MOST_MAPS = 10  # of a photo, where each costs a backward pass


REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": text}
    for status, text in {
        400: "The form cannot be read.",
        401: "The token is missing or wrong.",
        403: "Another site's page asks.",
        408: "The request came too slowly.",
        413: "A photo, or the request, is too large.",
        415: "The request holds no photos.",
        421: "The service is not known by this name.",
        422: "A parameter makes no sense.",
        429: "Full, where this status was chosen.",
        503: "Full, too slow, or ending: come again after Retry-After seconds.",
    }.items()
}


def body_of(limits: Limits) -> dict[str, Any]:
    """How a request's body is described to programs; it is not FastAPI that reads it."""
    photos = {"type": "array", "items": {"type": "string", "format": "binary"}, "minItems": 1}
    form = {"type": "object", "properties": {FIELD: photos | {"maxItems": limits.photos}}}
    kinds = {
        "multipart/form-data": {"schema": form | {"required": [FIELD], "additionalProperties": False}},
        "image/*": {"schema": {"type": "string", "format": "binary"}},
    }
    return {"requestBody": {"required": True, "content": kinds}}


def create_app(bundle: Bundle, settings: Settings) -> FastAPI:
    """The application; its parts start and end with it."""
    service = Service(bundle, settings)

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncGenerator[None]:
        await asyncio.to_thread(service.start)
        yield
        service.draining = True
        await asyncio.to_thread(service.stop)

    app = FastAPI(
        title="fishnet", version=fishnet.__version__, lifespan=life, docs_url=None, redoc_url=None, openapi_url=None,
        description="Photos in, classes and the evidence for them out.",
    )  # fmt: skip
    app.state.service = service
    app.add_exception_handler(HTTPException, _as_problem)
    app.add_exception_handler(RequestValidationError, _as_invalid)
    app.middleware("http")(_measured(service))
    app.add_middleware(Guards, hosts=settings.hosts)
    _add_description(app, service)
    _add_state_routes(app, service)
    _add_answer_routes(app, service)
    _add_gallery(app, service)
    _add_page(app)
    return app


def _add_answer_routes(app: FastAPI, service: Service) -> None:
    access = [Depends(_token_required(service.settings.token))]
    classes = service.bundle.model.classes
    most_maps = len(classes) if service.batcher.additive else MOST_MAPS
    any_of: dict[str, Any] = {"type": "array", "items": {"type": "string", "enum": [*classes]}, "uniqueItems": True}
    any_of["anyOf"] = None  # of FastAPI's own description

    @app.post("/predict", responses=REFUSALS, openapi_extra=body_of(service.settings.limits), dependencies=access)
    async def predict(
        request: Request,
        top: Annotated[int, Query(ge=1, le=1000, description="classes in each answer")] = 5,
        heatmap: Annotated[
            list[str] | None,
            Query(description="classes whose heat-maps are wanted", json_schema_extra=any_of | {"maxItems": most_maps}),
        ] = None,
        among: Annotated[
            list[str] | None,
            Query(
                alias="classes",
                description="the only classes that there may be",
                json_schema_extra=any_of | {"minItems": 2},
            ),
        ] = None,
        together: Annotated[bool, Query(description="whether the photos show one animal")] = False,
    ) -> Answer:
        """Classes, probabilities and evidence of photos: several as a form, or one as the body."""
        chosen = service.class_numbers(among, "classes")
        if len(chosen) < 2:
            raise HTTPException(422, "classes: name two or more.")
        maps_of = tuple(service.class_numbers(heatmap or [], "heatmap"))
        if maps_of and not service.batcher.has_maps:
            raise HTTPException(422, "heatmap: this network has no convolution, and so no heat-maps.")
        if len(maps_of) > most_maps:
            raise HTTPException(422, f"heatmap: this network has maps of {most_maps} classes at once.")
        async with service.uploads.photos(request) as photos:
            return await service.answer(photos, chosen, top, maps_of, together)

    @app.get("/classes", dependencies=access, responses={401: REFUSALS[401]})
    async def class_list() -> dict[str, Any]:
        """Names, thresholds, and shortcuts that an audit has proven."""
        return {
            "classes": class_facts(service.answering, service.bundle.audit), "heatmaps": service.batcher.has_maps,
            "most_photos": service.settings.limits.photos, "photo_bytes": service.settings.limits.photo_bytes,
            "most_maps": most_maps,
        }  # fmt: skip

    @app.get("/version", dependencies=access, responses={401: REFUSALS[401]})
    async def version() -> dict[str, Any]:
        """Of the program and of the model, and how exactly it computes."""
        about, arithmetic = service.bundle.about, service.settings.arithmetic
        return {
            "fishnet": fishnet.__version__, "bundle": service.bundle.digest, "trained": about.get("trained", {}),
            "metrics": about.get("metrics", {}), "arithmetic": str(arithmetic),
            "logit_tolerance": service.settings.tolerance,
        }  # fmt: skip


def _add_description(app: FastAPI, service: Service) -> None:
    access = [Depends(_token_required(service.settings.token))]  # it names the model's classes

    @app.get("/openapi.json", dependencies=access, include_in_schema=False)
    async def description() -> JSONResponse:
        return JSONResponse(app.openapi())


def _add_state_routes(app: FastAPI, service: Service) -> None:
    access = [Depends(_token_required(service.settings.token))]

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        """The process answers."""
        return {"status": "ok"}

    @app.get("/readyz", responses={503: REFUSALS[503]})
    async def readyz() -> dict[str, str]:
        """Photos would be answered."""
        if service.draining or not service.batcher.alive:
            raise HTTPException(503, "ending" if service.draining else "the model's thread has ended")
        return {"status": "ready"}

    @app.get("/metrics", dependencies=access, response_class=Response, responses={401: REFUSALS[401]})
    async def metrics() -> Response:
        """Counters in Prometheus' text format."""
        return Response(service.metrics.text(), media_type=CONTENT_TYPE_LATEST)


def _add_gallery(app: FastAPI, service: Service) -> None:
    access = [Depends(_token_required(service.settings.token))]
    photos, images = read_gallery(service.bundle)

    @app.get("/gallery", dependencies=access, responses={401: REFUSALS[401]})
    async def gallery() -> dict[str, Any]:
        """Photos that the model was tested on, with what they are and what it answered."""
        return {"photos": photos}

    @app.get("/gallery/{file}", dependencies=access, include_in_schema=False)
    async def gallery_photo(file: str) -> Response:
        if file not in images:
            raise HTTPException(404, "There is no such photo.")
        return Response(images[file], media_type="image/jpeg")


def _add_page(app: FastAPI) -> None:
    """Our own files, read once."""
    folder = files("fishnet.serve") / "page"
    for path, (name, kind) in PAGE.items():
        content = (folder / name).read_bytes()

        def page(content: bytes = content, kind: str = kind) -> Response:
            return Response(content, media_type=kind)

        app.add_api_route(f"/{path}", page, include_in_schema=False)


def _token_required(token: str | None) -> Callable[[Request], None]:
    def check(request: Request) -> None:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        known = token is None or secrets.compare_digest(given.strip().encode(), token.encode())
        if not known or (token is not None and scheme.lower() != "bearer"):
            raise HTTPException(401, "The token is missing or wrong.", headers={"WWW-Authenticate": "Bearer"})

    return check


def _measured(service: Service) -> Callable[[Request, Callable[[Request], Awaitable[Response]]], Awaitable[Response]]:
    async def measure(request: Request, answer: Callable[[Request], Awaitable[Response]]) -> Response:
        if request.url.path != "/predict":
            return await answer(request)
        started = time.monotonic()
        response = await answer(request)
        service.metrics.requests.labels(str(response.status_code)).inc()
        service.metrics.request.observe(time.monotonic() - started)
        return response

    return measure


async def _as_problem(request: Request, error: Any) -> JSONResponse:
    return JSONResponse({"detail": str(error.detail)}, error.status_code, headers=error.headers)


async def _as_invalid(request: Request, error: Any) -> JSONResponse:
    """Without what was sent."""
    places = [f"{'.'.join(str(part) for part in each['loc'])}: {each['msg']}" for each in error.errors()]
    return JSONResponse({"detail": "; ".join(places)}, 422)
