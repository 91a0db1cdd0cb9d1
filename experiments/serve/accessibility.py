"""What axe-core finds on the service's page: both languages, both themes, wide and as on a phone.

With two photos or more; one that is none among them shows a refusal, a gallery in the bundle its photos.

npm pack axe-core && tar xzf axe-core-*.tgz                      axe-core is not part of this project
python -m experiments.serve.accessibility --bundle BUNDLE --axe package/axe.min.js PHOTO [PHOTO …]
"""

import argparse
import itertools
import shutil
import sys
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.ui import WebDriverWait

from .running import running

SERIOUS = ("serious", "critical")
ANSWERED = ".card[data-step=answered]"
SHOWN = """
  document.querySelector("#limits").open = true;
  for (const slider of document.querySelectorAll(".card input[type=range]")) {
    slider.value = 60;
    slider.dispatchEvent(new Event("input"));
  }
  for (const box of [...document.querySelectorAll(".select input")].slice(0, 2)) box.click();
  document.querySelector("#combine").click();
  document.querySelector(".card .select input:not(:checked)")?.click();
"""  # the list of classes, maps, a card of two photos, and a selected card


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--axe", type=Path, required=True)
    parser.add_argument("photos", type=Path, nargs="+")
    chosen = parser.parse_args()
    with running(chosen.bundle) as (url, _):
        return sum(findings(f"{url}/", chosen.axe.read_text(), chosen.photos))


def findings(url: str, axe: str, photos: list[Path]) -> list[int]:
    """Print what is found in each state of the page; returns how many of it is serious."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1300,1000"):
        options.add_argument(flag)
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver") or ""))
    counts = []
    for language, theme, width in itertools.product(("en", "fr"), ("light", "dark"), (1300, 375)):
        shape = {"width": width, "height": 1000, "deviceScaleFactor": 1, "mobile": width < 500}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", shape)
        scheme = {"name": "prefers-color-scheme", "value": theme}
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
        driver.get(url)
        driver.execute_cdp_cmd("Page.setBypassCSP", {"enabled": True})  # for axe's own script
        WebDriverWait(driver, 20).until(lambda browser: browser.find_elements("css selector", "#ticks li"))
        driver.find_element("css selector", f"[data-language={language}]").click()
        driver.find_element("id", "files").send_keys("\n".join(str(photo.absolute()) for photo in photos))
        WebDriverWait(driver, 30).until(
            lambda browser: len(browser.find_elements("css selector", ANSWERED)) == len(photos)
        )
        driver.execute_script(SHOWN)
        WebDriverWait(driver, 30).until(
            lambda browser: len(browser.find_elements("css selector", ANSWERED)) > len(photos)
        )
        driver.execute_script(axe)
        found = driver.execute_async_script("axe.run().then(arguments[0])")["violations"]
        serious = [each for each in found if each["impact"] in SERIOUS]
        print(f"{language}, {theme}, {width} px: {len(found)} findings, {len(serious)} serious")
        for each in found:
            print(f"  {each['impact']}: {each['id']}, {each['help']}, {each['nodes'][0]['html'][:120]}")
        counts.append(len(serious))
    driver.quit()
    return counts


if __name__ == "__main__":
    sys.exit(main())
