"""Open each page of the built site in Chromium, without a network: `make check-site`.

Each page is shown in light and dark, on a wide and a narrow screen. The console must stay empty, nothing may be asked
from a server, each picture must load, and no page may be wider than the screen. With a second argument, a folder, pages
are also written there as pictures, to look at.
"""

import sys
from pathlib import Path

from pins import ROOT

sys.path.insert(0, str(ROOT / "tests"))
from helpers.browser import browser

WIDTHS = (1280, 400)
LOADED = """
return performance.getEntriesByType("resource").map(e => e.name).filter(name => !/^(file|data|blob):/.test(name));
"""
BROKEN = """
return [...document.images].filter(i => i.complete && !i.naturalWidth).map(i => i.src);
"""
OVERFLOW = "return document.documentElement.scrollWidth - document.documentElement.clientWidth;"
SHOW = """
document.documentElement.dataset.theme = document.documentElement.dataset.mode = arguments[0];
document.querySelectorAll("img[loading=lazy]").forEach(i => i.loading = "eager");
"""


def check(page, file: Path, name: Path, pictures: Path | None) -> list[str]:
    """Return what is wrong with a page; write pictures of it to a folder, if there is one."""
    page.driver.get(file.resolve().as_uri())
    found = []
    for width in WIDTHS:
        page.emulate(width=width)
        for theme in ("light", "dark"):
            page.run(SHOW, theme)
            page.wait_frames()
            if page.run(OVERFLOW) > 0:
                found.append(f"is {page.run(OVERFLOW)} px wider than a screen of {width}")
            if pictures:
                page.screenshot(pictures / f"{'-'.join(name.parts)}-{width}-{theme}.png")
    found += [f"does not show {source}" for source in page.run(BROKEN)]
    found += [f"asks for {url}" for url in page.run(LOADED)]
    found += [entry["message"] for entry in page.driver.get_log("browser") if entry["level"] in ("WARNING", "SEVERE")]
    return found


def main() -> None:
    """Check the site in the folder that the command line names."""
    site = Path(sys.argv[1])
    pictures = Path(sys.argv[2]) if len(sys.argv) > 2 else None
    if pictures:
        pictures.mkdir(parents=True, exist_ok=True)
    files = [file for file in sorted(site.rglob("*.html")) if "_static" not in file.relative_to(site).parts]
    assert len(files) > 100, f"{site} has {len(files)} pages only"
    n_problems = 0
    with browser() as page:
        for file in files:
            name = file.relative_to(site).with_suffix("")
            for problem in dict.fromkeys(check(page, file, name, None if "generated" in name.parts else pictures)):
                n_problems += 1
                print(f"{name}: {problem}", flush=True)
    print(f"{len(files)} pages, {n_problems} problems")
    sys.exit(n_problems > 0)


if __name__ == "__main__":
    main()
