"""What a site asks of robots, read before its first page is opened."""

from urllib.parse import urlsplit

from fishnet.collect.fetching import Fetcher, Unusable
from fishnet.errors import BadInput, WorkFailed

AGENT = "fishnet-vision"


async def check_robots(url: str, robots: str, fetcher: Fetcher) -> None:
    """Refuses a page that robots.txt closes, unless the user has named this very host as one to be opened anyway."""
    host = urlsplit(url).netloc
    if robots == f"ignore {host}":
        return
    if robots != "obey":
        raise BadInput(f"robots={robots}: say robots=obey, or robots='ignore {host}' to act against its robots.txt.")
    from protego import Protego

    place = f"{urlsplit(url).scheme}://{host}/robots.txt"
    try:
        text = await fetcher.call(place, lambda body: body.decode("utf-8", "replace"))
    except Unusable as unusable:
        if unusable.final and "not there" in str(unusable):
            return
        raise WorkFailed(f"{place} cannot be read ({unusable}), and without it no page is opened.") from unusable
    if not Protego.parse(text).can_fetch(url, AGENT):
        raise BadInput(
            f"robots.txt of {host} does not allow {urlsplit(url).path}: use source=inaturalist or source=open_data, "
            f"or say robots='ignore {host}' if you may do otherwise."
        )
