"""Pages and charts that training writes: escaped, complete, the same each time, and free until they are made."""

import base64
import re
import subprocess
import sys
from io import BytesIO

import pytest
from jinja2 import UndefinedError
from PIL import Image

from gallery_store.decoding import PictureError
from training.captioning.contact_sheet import write_contact_sheet
from training.charts import INK, house_style, new_chart, png_of, svg_of
from training.pages import TEMPLATES, filled, picture_url


@pytest.mark.parametrize("template", sorted(file.name for file in TEMPLATES.glob("*.html")))
def test_a_template_fetches_nothing_and_says_what_it_lacks(template):
    text = (TEMPLATES / template).read_text("utf-8")
    assert not re.search(r"https?:|@import|url\(|<link|<script[^>]+src", text)
    with pytest.raises(UndefinedError):
        filled(template)


def test_what_a_page_is_given_is_escaped():
    page = filled("contact_sheet.html", title="<b>", lead="a & b", groups=[])
    assert "<h1>&lt;b&gt;</h1>" in page and "a &amp; b" in page and "Nothing was dropped." in page


def test_a_contact_sheet_names_what_it_cannot_show_and_is_a_page(tmp_path):
    def torn():
        raise PictureError("torn")

    groups = {
        "unreadable": (1, [("a/<b>.jpg", "torn", torn)]),
        "small": (1234, [(f"{n}.jpg", "9x9 blur 1", lambda: Image.new("RGB", (9, 9))) for n in range(40)]),
    }
    write_contact_sheet(groups, tmp_path / "new" / "sheet.html")
    page = (tmp_path / "new" / "sheet.html").read_text("utf-8")
    assert page.count("<img") == 30 and "small: 1,234" in page and "the first 30" in page
    assert 'title="a/&lt;b&gt;.jpg"' in page and "cannot be read" in page
    with pytest.raises(ValueError, match=r"name it sheet\.html, not sheet\.png"):
        write_contact_sheet(groups, tmp_path / "sheet.png")
    assert not (tmp_path / "sheet.png").exists()


def test_a_picture_travels_in_the_page_no_larger_than_it_is_shown():
    url = picture_url(Image.new("L", (100, 400)), (50, 50))
    head, data = url.split(",")
    assert head == "data:image/jpeg;base64"
    with Image.open(BytesIO(base64.b64decode(data))) as picture:
        assert picture.size == (12, 50) and picture.mode == "RGB"


@house_style()
def drawn(title):
    figure, axes = new_chart(300, 200)
    axes.plot([1, 2, 3], [1, 3, 2], color=INK, label="$x$ <y>")
    axes.set(xlabel="Step")
    figure.legend(loc="outside lower center")
    return svg_of(figure, title, "it rises & falls"), png_of(figure, 2)


def test_a_chart_is_the_same_each_time_and_wears_the_colours_of_its_page():
    svg, png = drawn("one")
    assert (svg, png) == drawn("one")
    assert svg.startswith('<svg viewBox="0 0 300 200" width="300" height="200" role="img">')
    assert "var(--ink)" in svg and INK not in svg
    assert "<desc>it rises &amp; falls</desc>" in svg and "$x$ &lt;y&gt;</text>" in svg
    assert "date" not in svg and "http" not in svg
    with Image.open(BytesIO(png)) as picture:
        assert picture.size == (600, 400)
    ids = [set(re.findall(r'\bid="([^"]+)"', of)) for of in (svg, drawn("another")[0])]
    assert ids[0] and not ids[0] & ids[1]
    assert set(re.findall(r'(?:href="|url\()#([^")]+)', svg)) <= ids[0]


def test_nobody_pays_for_charts_and_pages_before_they_are_made():
    program = (
        "import sys, training.tuning.curves, training.captioning.contact_sheet, training.instructions.show\n"
        "import training.evaluation.report.formats, training.commands.report, training.pages, training.charts\n"
        "assert 'matplotlib' not in sys.modules and 'jinja2' not in sys.modules\n"
        "import training.__main__\n"
        "try: training.__main__.main(['--help'])\n"
        "except SystemExit: pass\n"
        "assert 'matplotlib' not in sys.modules and 'jinja2' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
