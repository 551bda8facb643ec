"""The report in a real browser: no complaints, nothing fetched, legible on a phone and a desk."""

import chromium
import pytest
import report_study
from needs import require
from testtime.data.store import read_json
from testtime.fit.advise import Question, advise, curves

pytestmark = pytest.mark.browser

LARGEST_TABLE = "document.getElementById('table-accuracy')"


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    results = report_study.make(tmp_path_factory.mktemp("study"))
    report_study.report(report_study.study(results))
    return results / "report.html"


@pytest.fixture(scope="module")
def page():
    require("browser", None if chromium.find() else "no Chromium on this machine")
    with chromium.Page() as page:
        yield page


@pytest.fixture
def desk(page, report):
    page.open(report, width=1440)
    page.run("document.querySelectorAll('details').forEach((box) => { box.open = true; })")
    return page


def choose(name: str, value: str) -> str:
    return f"""(() => {{
      const select = {LARGEST_TABLE}.querySelector('select[aria-label="{name}"]');
      select.value = '{value}';
      select.dispatchEvent(new Event('change'));
    }})()"""


def column(name: str) -> str:
    return f"""(() => {{
      const heads = [...{LARGEST_TABLE}.querySelectorAll('th')].map((th) => th.textContent);
      return [...{LARGEST_TABLE}.querySelectorAll('tbody tr')]
        .map((row) => row.children[heads.indexOf('{name}')].textContent);
    }})()"""


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [390, 1440])
def test_it_opens_without_complaint_and_fits(page, report, width, dark):
    page.open(report, width=width, dark=dark)
    assert page.complaints() == []
    assert page.requests() == [report.resolve().as_uri()]
    page.run("document.querySelectorAll('details').forEach((box) => { box.open = true; })")
    assert page.run("innerWidth") == width
    assert page.run("document.documentElement.scrollWidth") <= width
    sizes = page.run(
        "[...document.querySelectorAll('p, td, th, li, summary, dd, label')]"
        ".map((e) => parseFloat(getComputedStyle(e).fontSize))"
    )
    assert min(sizes) >= 11


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_text_stands_out_from_its_ground(page, report, dark):
    page.open(report, width=1440, dark=dark)
    # WCAG's contrast of the page's text, links and notes against its background.
    contrasts = page.run("""(() => {
      const part = (v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
      const light = (css) => {
        const [r, g, b] = css.match(/[0-9.]+/g).map((v) => v / 255);
        return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
      };
      const ground = light(getComputedStyle(document.body).backgroundColor);
      return ['body', 'a', '.note', '.right', '.wrong'].map((name) => {
        const text = light(getComputedStyle(document.querySelector(name)).color);
        return (Math.max(text, ground) + 0.05) / (Math.min(text, ground) + 0.05);
      });
    })()""")
    assert min(contrasts) >= 4.5
    shade = page.run("getComputedStyle(document.body).backgroundColor.match(/[0-9]+/)[0] < 128")
    assert shade is dark


def test_every_figure_is_visible(desk):
    shown = desk.run(
        "[...document.images].map((i) => i.complete && i.naturalWidth > 100 && i.clientWidth > 100)"
    )
    assert len(shown) == 2
    assert all(shown)


def test_filters_leave_the_rows_that_match(desk):
    assert set(desk.run(column("difficulty"))) == {"all"}
    desk.run(choose("policy", "small"))
    desk.run(choose("method", "dvts"))
    assert set(desk.run(column("policy"))) == {"small"}
    assert set(desk.run(column("method"))) == {"dvts"}
    count = desk.run(f"{LARGEST_TABLE}.querySelector('.shown').textContent")
    assert count == "12 of 12 rows"  # 2 PRMs × 3 choices of an answer × 2 budgets


def test_searching_takes_every_word(desk):
    desk.run(f"""(() => {{
      const box = {LARGEST_TABLE}.querySelector('input');
      box.value = 'large majority';
      box.dispatchEvent(new Event('input'));
    }})()""")
    assert set(desk.run(column("policy"))) == {"large"}


def test_a_heading_sorts_up_and_down(desk):
    heading = (
        f"[...{LARGEST_TABLE}.querySelectorAll('th button')]"
        ".find((button) => button.textContent === 'accuracy').click()"
    )
    numbers = []
    for _ in range(2):
        desk.run(heading)
        numbers.append([float(cell.split()[0]) for cell in desk.run(column("accuracy"))])
    assert numbers[0] == sorted(numbers[0])
    assert numbers[1] == sorted(numbers[1], reverse=True)
    assert max(numbers[1]) > max(numbers[0])  # pages hold the ends of the whole table


def test_more_rows_come_on_demand(desk):
    before = len(desk.run(column("policy")))
    desk.run(f"{LARGEST_TABLE}.querySelector('.more').click()")
    assert len(desk.run(column("policy"))) > before == 25


def test_the_lookup_follows_its_choices(desk):
    cells = "[...document.querySelectorAll('#lookup-map td')].map((cell) => cell.textContent)"
    assert len(desk.run(cells)) == 3 * 3 * 2  # policies × levels × budgets
    assert any("good-prm" in cell for cell in desk.run(cells))
    assert desk.run("document.querySelectorAll('#lookup-controls select').length") == 3


CHOICES = """[...document.querySelectorAll('#explorer-choices tr')].slice(1)
  .map((row) => [...row.children].map((cell) => cell.textContent))"""


def move(desk, currency: str, position: int) -> list[list[str]]:
    """The explorer's rows with the slider at a position."""
    desk.run(f"""(() => {{
      const currency = document.querySelector('#explorer-controls select[aria-label="currency"]');
      currency.value = '{currency}';
      currency.dispatchEvent(new Event('change'));
      const slider = document.querySelector('#explorer-controls input');
      slider.value = {position};
      slider.dispatchEvent(new Event('input'));
    }})()""")
    return desk.run(CHOICES)


@pytest.mark.parametrize("currency", ["budget", "tokens", "flops"])
def test_the_slider_shows_what_advise_answers(desk, report, currency):
    lookup = read_json(report.parent / "lookup.json")
    found = curves(lookup, Question(currency)).values()
    amounts = sorted({choice["amount"] for curve in found for choice in curve})
    assert len(amounts) > 1
    for position, amount in enumerate(amounts):
        shown = move(desk, currency, position)
        expected = advise(lookup, Question(currency, amount))["policies"]
        assert [row[0] for row in shown] == [choice["policy"] for choice in expected]
        assert [row[1] for row in shown] == [choice["use"] for choice in expected]
        for row, choice in zip(shown, expected, strict=True):
            shares = (choice[key] for key in ("accuracy", "ci_low", "ci_high"))
            accuracy, low, high = (f"{100 * share:.1f} %" for share in shares)
            assert row[2] == f"{accuracy}{low} to {high}"
            assert float(row[3].replace(",", "")) == choice["cost"]["policy_tokens"]
    most = int(desk.run("document.querySelector('#explorer-controls input').max"))
    assert most == len(amounts) - 1


def test_the_explorer_keeps_the_advice_of_another_difficulty_apart(desk):
    before = move(desk, "budget", 0)
    desk.run("""(() => {
      const select = document.querySelector('#explorer-controls select[aria-label="difficulty"]');
      select.value = 'hard';
      select.dispatchEvent(new Event('change'));
    })()""")
    assert desk.run(CHOICES)
    assert desk.run(CHOICES) != before


def test_example_paths_open_and_their_steps_are_coloured_by_score(desk):
    colors = desk.run(
        "[...document.querySelectorAll('.steps li.scored')].slice(0, 40)"
        ".map((step) => getComputedStyle(step).backgroundColor)"
    )
    assert len(set(colors)) > 5
    assert desk.run("document.querySelectorAll('.search .leaf').length") > 0
