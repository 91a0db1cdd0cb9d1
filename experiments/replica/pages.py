"""The scrolling page in both generations: photos as backgrounds of divs, twelve observations a scroll."""

import json

A_SCROLL = 12

_OLD = {"tile": "TaxonPhoto undefined", "cover": "CoverImage", "browser": "PhotoBrowser grid"}
_NEW = {
    "tile": "_tile_8f2c1_14 TaxonPhoto",
    "cover": "_cover_a91d0_3 CoverImage",
    "browser": "_browser_77b3e_9 PhotoBrowser grid",
}
_SCRIPT = """
const names = NAMES, taxon = TAXON, query = location.search;
const photos = document.querySelector('.photos');
let page = 0, busy = false, ended = false;
function show(photo) {
  const tile = document.createElement('div'); tile.className = names.tile;
  const cover = document.createElement('div'); cover.className = names.cover;
  cover.style.cssText = "background-image: url('" + photo.small + "'); width: 200px; height: 200px";
  tile.appendChild(cover); photos.insertBefore(tile, photos.querySelector('.loading'));
  if (GENERATION === 1) setTimeout(() => {
    cover.style.backgroundImage = 'url("' + photo.medium + '")'; cover.classList.add('loaded');
  }, 30);
}
async function more() {
  if (busy || ended) return;
  busy = true; page += 1;
  const asked = await fetch('/replica/photos?taxon_id=' + taxon + '&page=' + page + '&' + query.slice(1));
  const answer = await asked.json();
  answer.photos.forEach(show);
  if (answer.last) { ended = true; photos.querySelector('.loading').remove(); }
  busy = false;
}
window.addEventListener('scroll', () => {
  if (window.innerHeight + window.scrollY >= document.body.scrollHeight - 50) more();
});
more();
"""
_PAGE = """<!DOCTYPE html><html><head><title>{title}</title></head><body>
<h1>{title}</h1><div id="app"><div class="{browser}"><div class="photos" style="display:flex;flex-wrap:wrap">
<div class="loading" style="width:100%;height:60px">Loading</div></div></div></div>
<div style="height: 400px"></div><script>{script}</script></body></html>"""
CONSENT = """<!DOCTYPE html><html><head><title>Before you continue</title></head><body>
<form>We use cookies. <button>I agree</button></form></body></html>"""


def photo_page(taxon: tuple[int, str, str], generation: int) -> str:
    names = _OLD if generation == 1 else _NEW
    script = _SCRIPT.replace("NAMES", json.dumps(names)).replace("TAXON", str(taxon[0]))
    script = script.replace("GENERATION", str(generation))
    return _PAGE.format(title=f"Photos of {taxon[1]}", browser=names["browser"], script=script)


def changed_page(taxon: tuple[int, str, str]) -> str:
    """A layout of tomorrow: nothing is called as it was."""
    return photo_page(taxon, 2).replace("PhotoBrowser", "Gallery").replace("CoverImage", "Picture")
