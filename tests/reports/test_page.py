"""The page in a real browser: what a person does, and what they see."""

import base64
import contextlib
import hashlib
import itertools
import json
import os
import re
import zlib
from pathlib import Path

import numpy as np
import pytest

from helpers.browser import missing
from helpers.reports import MODELS
from softkmeans import SoftKMeans, report
from softkmeans.reports import collect
from softkmeans.reports.content import MAX_EM_NUMBERS
from softkmeans.reports.encoding import decode

pytestmark = [pytest.mark.browser, pytest.mark.slow]

AXE = Path(os.environ.get("AXE", Path(__file__).parents[2] / "node_modules/axe-core/axe.min.js"))
MEMBERSHIPS = "const r = window.softkmeansReport; return arguments[0].map((i) => r.memberships(i));"


PIXELS = """
const c = document.querySelector("#map canvas"); const g = c.getContext("2d");
const d = g.getImageData(0, 0, c.width, c.height).data;
let n = 0; for (let i = 3; i < d.length; i += 4) n += d[i] > 0;
"""


def memberships(page, rows):
    return np.array(page.run(MEMBERSHIPS, [int(i) for i in rows]))


def move_slider(page, step):
    page.run(
        "const s = document.getElementById('slider'); s.value = arguments[0]; s.dispatchEvent(new Event('input'));",
        step,
    )
    page.wait_frames()
    return page.run("return window.softkmeansReport.temperature")


def with_temperature(model, value):
    """Return the memberships of a model at another temperature, by a model with this temperature."""
    estimator = model[-1] if hasattr(model, "steps") else model
    fitted = estimator.__dict__.copy()
    if hasattr(estimator, "fuzzifier"):
        estimator.fuzzifier = value
    elif np.ndim(estimator.temperature_):
        mean = np.average(estimator.temperature_, weights=estimator.cluster_weights_)
        estimator.temperature_ = estimator.temperature_ * value / mean
    else:
        estimator.temperature_ = value

    def predict(x):
        try:
            return model.predict_proba(x)
        finally:
            estimator.__dict__.update(fitted)

    return predict


@pytest.mark.parametrize("name", MODELS)
def test_memberships_of_the_page_are_those_of_python(name, opened, made):
    model, x, made_report = made(name)
    page = opened(name)
    rows = np.arange(0, len(x), max(1, len(x) // 100))
    np.testing.assert_allclose(memberships(page, rows), np.asarray(model.predict_proba(x))[rows], atol=1e-4)
    for step in (60, 170, 230, 330):
        value = move_slider(page, step)
        expected = np.asarray(with_temperature(model, value)(x))[rows]
        np.testing.assert_allclose(memberships(page, rows), expected, atol=1e-4)
    assert made_report.content["n_rows"] == len(x)


@pytest.mark.parametrize(
    "name", ["wine", "demo", "fuzzy", "cosine", "per cluster", "noise", "digits", "weighted", "far", "huge"]
)
def test_em_lowers_the_objective(name, opened):
    page = opened(name)
    move_slider(page, 190)
    before = page.run("return window.softkmeansReport.objective")
    page.find("#em").click()
    for _ in range(200):
        page.wait_frames(3)
        if page.run("return !document.getElementById('em').disabled"):
            break
    after = page.run("return window.softkmeansReport.objective")
    assert after <= before + 1e-9 * abs(before)
    assert "EM" in page.text("#em-text")
    assert "passes" in page.text("#em-text")
    page.find("#reset").click()
    page.wait_frames()
    assert page.text("#em-text") == ""


def test_em_says_on_how_many_rows_it_ran(page, tmp_path):
    """With more numbers than EM takes, it runs on fewer rows, and says so; F falls on these."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(5_000, 300)) + 3 * rng.normal(size=(4, 300))[rng.integers(4, size=5_000)]
    model = SoftKMeans(4, temperature=20.0, tol=1e-1, random_state=0).fit(x)
    report(model, x, tmp_path / "r.html")
    page.emulate()
    page.open(tmp_path / "r.html")
    page.find("#em").click()
    for _ in range(200):
        page.wait_frames(3)
        if page.run("return !document.getElementById('em').disabled"):
            break
    text = page.text("#em-text")
    n_shown, n_used = collect(model, x)["rows"]["n"], MAX_EM_NUMBERS // 300
    assert n_shown > n_used
    assert f"on {n_used:,} of the {n_shown:,} shown rows" in text
    before, after = (
        float(part) for part in re.search(r"per row (\d+\.\d+) → (\d+\.\d+)", text.replace(",", "")).groups()
    )
    assert after <= before
    assert page.messages() == []


def test_em_at_the_fit_reaches_the_fit(opened, made):
    """EM in the page reaches the same optimum as EM in Python."""
    model, x, _ = made("wine")
    page = opened("wine")
    page.find("#em").click()
    page.wait_frames(60)
    start = model[-1].cluster_centers_
    em = SoftKMeans(3, temperature=model[-1].temperature_, init=start, solver="em", tol=1e-12, max_iter=2000)
    rows = model[:-1].transform(x)
    # Both stop close to the optimum, and the clusters keep their order.
    np.testing.assert_allclose(memberships(page, range(178)), em.fit(rows).predict_proba(rows), atol=2e-2)


def test_colors_follow_the_slider(opened):
    page = opened("demo")
    colors = "const r = window.softkmeansReport; return [...Array(600).keys()].map((i) => r.colorOf(i));"
    at_fit = page.run(colors)
    move_slider(page, 10)
    hard = page.run(colors)
    move_slider(page, 400)
    soft = page.run(colors)
    assert len(set(hard)) < 60  # the colors of four clusters, and of some rows between them
    assert len(set(at_fit)) > len(set(hard))
    assert len(set(soft)) > 4
    assert hard != at_fit != soft
    pixels = page.run(f"{PIXELS} return n;")
    assert pixels > 1000


def test_hover_and_keyboard_show_a_row(opened, made):
    from selenium.webdriver import ActionChains, Keys

    page = opened("wine")
    row = 20
    x, y = page.run("return window.softkmeansReport.positionOf(arguments[0])", row)
    canvas = page.find("#map-canvas")
    page.run("arguments[0].scrollIntoView()", canvas)
    size = canvas.rect
    offset = int(x - size["width"] / 2), int(y - size["height"] / 2)
    ActionChains(page.driver).move_to_element_with_offset(canvas, *offset).perform()
    page.wait_frames()
    assert page.text("#row-title").startswith("Row ")
    assert "alcohol" in page.text("#row")
    assert "Cluster 0" in page.text("#row")
    seen = set()
    page.run("arguments[0].focus()", canvas)
    for key in (Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_UP, Keys.ARROW_LEFT, Keys.ARROW_DOWN):
        page.keys("#map-canvas", key)
        page.wait_frames()
        seen.add(page.text("#row-title"))
    assert len(seen) >= 3
    page.keys("#map-canvas", "+", "-", "0", Keys.ENTER, Keys.ESCAPE)
    before = page.run("return window.softkmeansReport.temperature")
    page.keys("#slider", Keys.ARROW_RIGHT)
    page.wait_frames()
    assert page.run("return window.softkmeansReport.temperature") > before


def test_a_table_sorts_and_chooses_a_row(opened, made):
    page = opened("wine")
    page.wait_frames(20)
    column = "return [...document.querySelectorAll('#ambiguous tbody tr')].map((r) => +r.children[3].textContent)"
    page.driver.execute_async_script("setTimeout(arguments[0], 300)")
    values = page.run(column)
    ordered = np.sort(made("wine")[0].predict_proba(made("wine")[1]), axis=1)
    assert len(values) == (ordered[:, -1] - ordered[:, -2] < 0.999).sum() < 100
    head = page.find("#ambiguous thead th:nth-child(4) button")
    head.click()
    assert page.run(column) == sorted(values, reverse=True)
    head.click()
    assert page.run(column) == sorted(values)
    assert page.find("#ambiguous thead th:nth-child(4)").get_attribute("aria-sort") == "ascending"
    first = page.find("#ambiguous tbody tr th button")
    name = first.text
    first.click()
    page.wait_frames()
    assert page.text("#row-title") == f"Row {name}"


def test_the_most_ambiguous_rows_are_those_of_python(opened, made):
    model, x, _ = made("wine")
    page = opened("wine")
    page.driver.execute_async_script("setTimeout(arguments[0], 300)")
    shown = page.run(
        "return [...document.querySelectorAll('#ambiguous tbody th')].slice(0, 10).map((t) => +t.textContent)"
    )
    ordered = np.sort(model.predict_proba(x), axis=1)
    assert [i - 1 for i in shown] == np.argsort(ordered[:, -1] - ordered[:, -2])[:10].tolist()


def test_clusters_go_off_and_on(opened):
    page = opened("wine")
    count = f"{PIXELS} return n;"
    before = page.run(count)
    page.find(".legend input").click()
    off = page.run(count)
    page.find(".legend input").click()
    assert off < 0.8 * before
    assert page.run(count) == before


def test_axes_are_chosen(opened):
    page = opened("wine")
    at = "return window.softkmeansReport.positionOf(3)"
    before = page.run(at)
    page.run("const s = document.getElementById('axis-x'); s.selectedIndex = 8; s.dispatchEvent(new Event('change'))")
    assert page.run(at) != before


def test_rows_are_selected_by_a_box(opened):
    from selenium.webdriver import ActionChains

    page = opened("demo")
    canvas = page.find("#map-canvas")
    page.run("arguments[0].scrollIntoView()", canvas)
    page.find("#selecting").click()
    page.run("arguments[0].scrollIntoView()", canvas)
    action = ActionChains(page.driver).move_to_element_with_offset(canvas, -200, -150).click_and_hold()
    action.move_by_offset(300, 250).release().perform()
    page.wait_frames()
    assert "selected rows" in page.text("#row-title")


def test_the_row_that_is_shown_follows_the_slider(opened):
    from selenium.webdriver import Keys

    page = opened("wine")
    page.run("arguments[0].focus()", page.find("#map-canvas"))
    page.keys("#map-canvas", Keys.ARROW_RIGHT)
    page.wait_frames()
    at_fit = page.text("#row")
    move_slider(page, 390)
    page.wait_frames(30)
    assert page.text("#row-title").startswith("Row ")
    assert page.text("#row") != at_fit


@pytest.mark.parametrize("width", [320, 390, 768, 1280])
@pytest.mark.parametrize("name", ["wine", "wide"])
def test_nothing_is_wider_than_the_screen(name, width, opened):
    page = opened(name)
    page.emulate(width=width)
    assert page.run("return document.documentElement.scrollWidth <= window.innerWidth + 1")
    page.emulate()


def test_a_print_shows_the_rows_on_white(opened):
    page = opened("wine")
    page.emulate(dark=True)
    printed = base64.b64decode(page.devtools("Page.printToPDF", printBackground=True)["data"])
    page.emulate()
    streams = []
    for part in re.findall(rb"stream\r?\n(.*?)endstream", printed, re.DOTALL):
        with contextlib.suppress(zlib.error):
            streams.append(zlib.decompressobj().decompress(part))
    curves = len(re.findall(rb" c$", b"\n".join(streams), re.MULTILINE))
    assert curves >= 4 * 178  # a circle for each row
    assert page.run("return getComputedStyle(document.documentElement).getPropertyValue('--dark').trim()") == "0"


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("name", ["wine", "fuzzy", "wide"])
def test_axe_finds_nothing(name, dark, opened):
    if not AXE.exists():
        missing("axe-core (npm install --no-save axe-core@4.14.1, or its file's path in the variable AXE)")
    page = opened(name)
    page.emulate(dark=dark)
    page.driver.execute_async_script("setTimeout(arguments[0], 300)")
    page.devtools("Page.setBypassCSP", enabled=True)
    # The tools are no part of the page, so its policy does not allow them.
    page.devtools("Runtime.evaluate", expression=AXE.read_text(encoding="utf-8"))
    found = page.driver.execute_async_script(
        "const done = arguments[0]; axe.run(document).then((r) => done(r.violations.map((v) => "
        "[v.id, v.impact, v.nodes.slice(0, 3).map((n) => n.html)])))"
    )
    page.devtools("Page.setBypassCSP", enabled=False)
    page.emulate()
    assert [entry for entry in found if entry[1] in ("serious", "critical", "moderate")] == []


EVIL = [
    "</script><img src=x onerror=\"document.title='hacked'\">",
    "\"'><svg onload=document.title='hacked'>",
    "\N{HEBREW LETTER ALEF}\N{HEBREW LETTER BET}\N{RIGHT-TO-LEFT OVERRIDE}abc",
    "x" * 10_000,
    "{{title}} ${1} <!-- \N{LINE SEPARATOR}",
]


def test_texts_of_the_data_are_shown_as_text(page, tmp_path):
    import pandas as pd

    x = pd.DataFrame(np.random.default_rng(0).normal(size=(60, 5)), columns=EVIL)
    labels = [EVIL[i % 5] for i in range(60)]
    model = SoftKMeans(3, temperature=0.5, random_state=0).fit(x)
    model._provenance = None
    for title in EVIL:
        path = tmp_path / "evil.html"
        report(model, x, path, labels=labels, title=title)
        page.emulate(width=390)
        page.open(path)
        page.run("document.getElementById('map-canvas').focus()")
        page.keys("#map-canvas", "0", "+")
        page.run("document.querySelector('#ambiguous tbody button')?.click()")
        page.wait_frames()
        assert page.run("return document.title !== 'hacked' && !document.querySelector('img')")
        assert page.text("h1")[:150] == title[:150]
        shown = page.run("return document.body.textContent")
        assert all(text[:30] in shown for text in EVIL)
        assert page.run("return document.documentElement.scrollWidth <= window.innerWidth + 1")
        assert page.messages() == []
    page.emulate()


def test_the_policy_stops_other_scripts_and_connections(opened, page):
    page = opened("demo")
    page.run(
        "const s = document.createElement('script'); s.textContent = 'window.ran = true'; document.body.append(s);"
        "fetch('https://example.com/').catch(() => (window.refused = true));"
    )
    page.wait_frames(5)
    assert page.run("return [window.ran, window.refused]") == [None, True]
    assert len(page.messages()) >= 2  # the browser says what it refused


def frame_times(page, n_moves=20):
    """Return the milliseconds of moves of the slider, from the event to the drawn frame."""
    return page.driver.execute_async_script(
        """
        const [n, done] = arguments; const s = document.getElementById("slider"); const times = [];
        const move = (i) => {
          if (i === n) return done(times);
          const start = performance.now();
          s.value = 80 + (i * 37) % 240;
          s.dispatchEvent(new Event("input"));
          requestAnimationFrame(() => {
            document.body.getBoundingClientRect();
            const spent = performance.now() - start;
            times.push(spent);
            setTimeout(() => move(i + 1), 30);
          });
        };
        setTimeout(() => move(0), 300);
        """,
        n_moves,
    )


@pytest.mark.thorough
@pytest.mark.parametrize(("k", "d", "limit"), [(10, 8, 50), (50, 8, 120)])
def test_the_slider_is_fast(k, d, limit, page, tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(20_000, d)) + 4 * rng.normal(size=(k, d))[rng.integers(k, size=20_000)]
    report(SoftKMeans(k, tol=1e-2, random_state=0).fit(x), x, tmp_path / "large.html")
    page.emulate()
    page.open(tmp_path / "large.html")
    median = np.median(frame_times(page))
    print(f"\nslider, 20,000 rows, k = {k}: median of 20 moves {median:.1f} ms, limit {limit} ms")
    assert median <= limit


def test_the_map_shows_the_rows_of_the_data(opened, made):
    """Positions on the first two axes equal those of PCA."""
    from sklearn.decomposition import PCA

    model, x, _ = made("wine")
    page = opened("wine")
    found = np.array([page.run("return window.softkmeansReport.positionOf(arguments[0])", i) for i in range(0, 178, 9)])
    expected = PCA(2).fit_transform(model[:-1].transform(x))[::9]
    for axis, sign in itertools.product(range(2), (1,)):
        assert abs(np.corrcoef(found[:, axis] * sign, expected[:, axis])[0, 1]) > 0.99999


def test_the_vendored_files_are_those_of_the_pinned_package():
    folder = Path(report.__code__.co_filename).parent / "page" / "vendor"
    pin = json.loads((folder / "pin.json").read_text())
    assert pin["package"] == "uplot"
    for name, digest in pin["sha256"].items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
    assert {path.name for path in folder.iterdir()} == {*pin["sha256"], "pin.json"}


def test_stored_distances_are_exact_to_float32(made):
    model, x, page = made("wine")
    rows = page.content["rows"]
    stored = decode(rows["nearest"])[:, None] + decode(rows["excess"]).reshape(-1, 3)
    unit = page.content["formula"]["unit"]
    np.testing.assert_allclose(np.sqrt(stored * unit), model.transform(x), rtol=1e-6)


# --- what is read in a picture ----------------------------------------------------------------------------------------


def test_map_and_slider_are_in_one_low_window(opened):
    page = opened("wine")
    page.emulate(width=1280, height=600)
    page.run("document.querySelector('.temperature').scrollIntoView()")
    page.wait_frames(4)
    inside = (
        "const r = document.querySelector(arguments[0]).getBoundingClientRect();"
        "return r.top >= -1 && r.bottom <= innerHeight + 1 && r.height > 100 - 80 * (arguments[0] === '#slider');"
    )
    assert page.run(inside, "#slider")
    assert page.run(inside, "#map")
    page.emulate()


def test_the_slider_comes_before_its_buttons_in_tab_order(opened):
    from selenium.webdriver import ActionChains, Keys

    page = opened("wine")
    page.run("document.getElementById('slider').focus()")
    order = ["slider"]
    for _ in range(3):
        ActionChains(page.driver).send_keys(Keys.TAB).perform()
        order.append(page.run("return document.activeElement.id"))
    assert order == ["slider", "reset", "em", "map-canvas"]


def test_the_histogram_has_counts(opened, made):
    model, x, _ = made("wine")
    page = opened("wine")
    largest = np.asarray(model.predict_proba(x)).max(1)
    bars = page.run("return [...document.querySelectorAll('#histogram .bar title')].map((t) => t.textContent)")
    counts = [int(re.fullmatch(r"[\d.]+ to [\d.]+: (\d+) rows", text)[1]) for text in bars]
    np.testing.assert_array_equal(counts, np.histogram(largest, bins=20, range=(0, 1))[0])
    text = page.text("#histogram-text")
    parts = [
        int(part) for part in re.search(r"in (\d+), from 0.5 to 0.9 in (\d+), and .* in (\d+) rows", text).groups()
    ]
    assert parts == [sum(counts[18:]), sum(counts[10:18]), sum(counts[:10])]


def test_the_axis_of_the_histogram_fits_its_bars(opened):
    """Ticks are at the heights of their numbers, and no bar is higher than the axis, wherever the slider is."""
    page = opened("wine")
    for step in (0, 200, 330, 400):
        move_slider(page, step)
        ticks, bars, base = page.run(
            """
            const text = [...document.querySelectorAll('#histogram g text')];
            const line = [...document.querySelectorAll('#histogram g line')];
            const bars = [...document.querySelectorAll('#histogram .bar')];
            const y = (e) => +e.getAttribute('y1');
            return [text.map((t, i) => [+t.textContent.replace(',', ''), y(line[i])]),
              bars.map((b) => [+b.firstChild.textContent.match(/: (.*) rows/)[1], +b.getAttribute('y')]), y(line[0])];
            """
        )
        (_, zero), (value, at) = ticks[0], ticks[-1]
        assert len(ticks) >= 3
        assert zero == base
        for count, y in bars:
            assert y == pytest.approx(base - count * (base - at) / value, abs=0.5)
            assert y > 20


def test_where_all_rows_are_certain_none_is_doubtful(opened):
    page = opened("demo")
    move_slider(page, 0)
    page.driver.execute_async_script("setTimeout(arguments[0], 300)")
    shown = page.run(
        "return [...document.querySelectorAll('#ambiguous tbody tr')].map((r) => +r.children[5].textContent)"
    )
    assert all(difference < 1 for difference in shown)
    assert len(shown) < 20
    text = page.text("#ambiguous-text")
    assert ("none is doubtful" in text) == (not shown)
    assert page.find("#ambiguous").is_displayed() == bool(shown)


def test_em_says_that_it_merged_centers(opened):
    page = opened("demo")
    for step, merged in ((400, True), (0, False)):
        page.find("#reset").click()
        move_slider(page, step)
        page.find("#em").click()
        for _ in range(200):
            page.wait_frames(3)
            if page.run("return !document.getElementById('em').disabled"):
                break
        assert ("at the place of another" in page.text("#em-text")) == merged
        assert not merged or "3 centers of 4 are now" in page.text("#em-text")
    page.find("#reset").click()


def test_labels_have_the_name_of_their_column(page, tmp_path):
    import pandas as pd

    x = np.random.default_rng(0).normal(size=(60, 2))
    model = SoftKMeans(2, temperature=1.0, random_state=0).fit(x)
    for labels, name in ((pd.Series(["a", "b"] * 30, name="cultivar"), "cultivar"), (["a", "b"] * 30, "label")):
        report(model, x, tmp_path / "r.html", labels=labels)
        page.emulate()
        page.open(tmp_path / "r.html")
        page.driver.execute_async_script("setTimeout(arguments[0], 300)")
        assert page.text("#ambiguous thead th:nth-child(2)") == name
        page.run("document.querySelector('#ambiguous tbody button').click()")
        assert page.text("#row .values dt") == name


def test_names_of_axes_are_whole_on_a_narrow_screen(page, tmp_path):
    """What the canvas writes is recorded: the names of two long columns, in two lines each, and none is wider."""
    import pandas as pd

    names = ["money spent in the shops of the town in the first half of 2021", "visits to the doctor or a clinic"]
    x = pd.DataFrame(np.random.default_rng(0).normal(size=(60, 2)), columns=names)
    report(SoftKMeans(2, temperature=1.0, random_state=0).fit(x), x, tmp_path / "r.html")
    page.emulate(width=400)
    page.open(tmp_path / "r.html")
    page.run(
        "const own = CanvasRenderingContext2D.prototype.fillText; window.written = [];"
        "CanvasRenderingContext2D.prototype.fillText = function (text, ...at) {"
        "window.written.push([text, this.measureText(text).width]); return own.call(this, text, ...at); };"
    )
    page.run("document.getElementById('contours').click()")
    page.wait_frames(3)
    lines = [(text, width) for text, width in page.run("return window.written") if len(text) > 5]
    assert " ".join(text for text, _ in lines) == " ".join(names)
    assert all(width <= 300 for _, width in lines)
    page.emulate()


@pytest.mark.parametrize("name", ["wine", "many clusters", "one cluster"])
def test_texts_of_svg_pictures_do_not_overlap(name, opened):
    page = opened(name)
    for width in (400, 1280):
        page.emulate(width=width)
        covered = page.run(
            """
            const boxes = [...document.querySelectorAll('svg text')].filter((t) => t.textContent).map((t) => {
              const r = t.getBoundingClientRect();
              return [t.textContent, r.left + 1, r.top + 2, r.right - 1, r.bottom - 2, t.ownerSVGElement];
            });
            const found = [];
            boxes.forEach((a, i) => boxes.slice(0, i).forEach((b) => {
              if (a[5] === b[5] && a[1] < b[3] && b[1] < a[3] && a[2] < b[4] && b[2] < a[4]) found.push([a[0], b[0]]);
            }));
            return found;
            """
        )
        assert covered == []
    page.emulate()
