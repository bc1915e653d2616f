"""The report: the paper's figures as printed, ours beside them, right and wrong told by more than colour."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from training.__main__ import main
from training.evaluation.metrics import Relevance, order_of, rank
from training.evaluation.report.evaluations import (
    Evaluation,
    measured_rows,
    read_evaluations,
    size_label,
    stages_label,
)
from training.evaluation.report.published import PUBLISHED_AVERAGES, QUERIES, TABLES
from training.evaluation.report.report_charts import cameras_table, cmc_chart, reliability_chart
from training.evaluation.report.report_tables import OURS, PUBLISHED, drawn_people_tables, paper_tables
from training.evaluation.results import Model, Result, Side, rankings, write_shown

STAGES = ("tower", "stage1", "stage2", "stage3")


def run_of(
    folder,
    benchmark,
    settings,
    *,
    stages=STAGES,
    queries=None,
    name="checkpoints/small",
    parameters=2_200_000_000,
):
    count = QUERIES.get(benchmark, 10) if queries is None else queries
    figures = {
        setting: {
            ranker: {"mAP": share, "rank1": share + 0.01, "rank5": share, "rank10": share, "mINP": share}
            | {"queries": count, "queries_without_match": 0, "prefilter_recall": 0.9}
            for ranker, share in rankers.items()
        }
        for setting, rankers in settings.items()
    }
    model = Model(name, "Qwen2-VL", stages, parameters, "clip@1", None, 64)
    result = Result("benchmark", benchmark, figures, model=model, seconds={"total": 7.0}, notes=("a <note>",))
    result.write(folder)
    return Evaluation(folder, result)


def test_the_published_figures_agree_with_each_other():
    """Slips of the pen in the data would break the sums that the paper prints itself."""
    ablation = TABLES[3]
    for method, figures in ablation.rows:
        assert round(sum(figures) / 10 + 1e-9, 1) == pytest.approx(PUBLISHED_AVERAGES[method], abs=0.051)
    own = {
        (column.benchmark, column.metric): figure
        for table in TABLES
        if table.number in (1, 2, 3, 5)
        for column, figure in zip(table.columns, table.rows[-1][1], strict=True)
    }
    again = dict(zip([c.benchmark for c in ablation.columns], ablation.rows[-1][1], strict=True))
    differing = {name for name, figure in again.items() if figure != own[name, "mAP"]}
    assert differing == {"ltcc", "prcc"}  # the exchange that the report notes
    assert (again["ltcc"], again["prcc"]) == (own["prcc", "mAP"], own["ltcc", "mAP"])
    sizes = dict(zip([c.benchmark for c in TABLES[5].columns], TABLES[5].rows[1][1], strict=True))
    assert all(
        figure == own[name, "rank1"] for name, figure in sizes.items()
    )  # 2 B is the model of the others
    assert len(TABLES) == 6 and all(
        len(figures) == len(table.columns) for table in TABLES for _, figures in table.rows
    )


def test_expected_queries_are_those_of_the_data_sets():
    from training.datasets.specs import SPECS

    split = {"prcc": "query-changed", "regdb": "test-visible"}
    for name, queries in QUERIES.items():
        counts = next(iter(SPECS[name].counts.values()))
        if name == "sysu-mm01":
            continue  # its specification counts all test pictures together
        count = counts.get(split.get(name, "query")) or counts["test"]
        assert queries == (count.captions if count.captions else count.images), name


def test_ours_stand_below_the_published_rows(tmp_path):
    runs = [
        run_of(tmp_path / "a", "market1501", {"standard": {"clip": 0.5, "fused": 0.97}}),
        run_of(tmp_path / "b", "cuhk03", {"standard": {"clip": 0.4, "fused": 0.6}}),
    ]
    table = paper_tables(runs)[0]
    assert [row.source for row in table.rows] == [PUBLISHED] * 6 + [OURS] * 2
    clip, fused = table.rows[-2:]
    assert fused.cells == ("97.0", "98.0", "–", "–", "60.0", "61.0")
    assert fused.label == "small" and fused.detail == "fused, 2.2 B, Stages 1 to 3"
    assert fused.best == {0, 1}  # above the paper's 96.4 and 97.2
    assert clip.best == frozenset()
    assert table.rows[5].best == {2, 3, 4, 5}


def test_a_sample_of_queries_is_marked_and_does_not_compete(tmp_path):
    table = paper_tables([run_of(tmp_path, "market1501", {"standard": {"fused": 0.99}}, queries=50)])[0]
    assert table.rows[-1].cells[:2] == ("99.0†", "100.0†") and not table.rows[-1].best
    assert any("†" in note for note in table.notes)
    assert table.rows[5].best >= {0, 1}


def test_the_ablation_is_named_by_stages_and_averaged_where_whole(tmp_path):
    settings = {column.benchmark: column.setting for column in TABLES[3].columns}
    runs = [
        run_of(tmp_path / f"{name}-{stage}", name, {setting: {"clip": 0.9, "fused": share}}, stages=stages)
        for stage, stages, share in (("3", ("stage3",), 0.2), ("23", ("stage2", "stage3"), 0.5))
        for name, setting in settings.items()
    ]
    rows = [row for row in paper_tables(runs)[3].rows if row.source == OURS]
    assert [(row.label, row.cells[-1]) for row in rows] == [
        ("Stage 3", "20.0"),
        ("Stage 2 + Stage 3", "50.0"),
    ]
    partly = [row for row in paper_tables(runs[:3])[3].rows if row.source == OURS]
    assert partly[0].cells[-1] == "–"


def test_labels():
    assert stages_label(STAGES) == "Stages 1 to 3"
    assert stages_label(("language", "stage3", "stage2")) == "Stage 2 + Stage 3"
    assert stages_label(("tower",)) == ""
    assert [size_label(n) for n in (0, 3_800_000, 2_209_000_000)] == ["", "3.8 M", "2.2 B"]


def test_a_direction_or_search_that_the_table_does_not_mean_is_left_out(tmp_path):
    run = run_of(
        tmp_path, "regdb", {"thermal-to-visible": {"clip": 0.9}, "visible-to-thermal": {"clip": 0.3}}
    )
    (row,) = measured_rows([run], TABLES[2].columns)
    assert row.figures == {2: pytest.approx(30), 3: pytest.approx(31)}


def full_run(folder):
    run = run_of(folder, "market1501", {"standard": {"clip": 0.5, "fused": 0.8}})
    rng = np.random.default_rng(0)
    people = rng.integers(0, 6, 40).astype(str)
    sides = [
        Side.of([f"<{n}>.jpg" for n in range(count)], people[:count], rng.integers(1, 4, count).astype(str))
        for count in (12, 40)
    ]
    for ranker in ("clip", "fused"):
        relevance = Relevance.by_identity(sides[0].persons, sides[1].persons)
        scores = rng.random((12, 40)) + relevance.masks()[0] * (0.3 if ranker == "clip" else 0.6)
        kept = rankings(map(order_of, scores), relevance, rank(scores, relevance), *sides)
        kept.write(folder, "standard", ranker)
        write_shown(
            folder,
            "standard",
            kept,
            lambda row: Image.new("RGB", (9, 9)),
            lambda row: Image.new("RGB", (9, 9)),
        )
    return run


def test_runs_on_drawn_people_stand_side_by_side_by_their_stages(tmp_path):
    five = ("standard", "look-alikes", "clothes-changing", "visible-infrared", "text-to-image")
    runs = []
    for stages, share in ((("tower", "stage3"), 0.2), (STAGES, 0.6)):
        settings = {name: {"fused": share + place / 100, "truth": 1.0} for place, name in enumerate(five)}
        run = run_of(tmp_path / str(share), "synthetic", settings, stages=stages)
        made = replace(run.result, kind="synthetic", world={"version": 1, "seed": 5})
        runs.append(Evaluation(run.folder, made))
    (table,) = drawn_people_tables(runs)
    assert "seed 5" in table.title
    assert [(row.label, row.cells[-1], bool(row.best)) for row in table.rows] == [
        ("Stage 3", "22.0", False),
        ("Stages 1 to 3", "62.0", True),
        ("truth", "100.0", False),
    ]
    other = Evaluation(runs[0].folder, replace(runs[0].result, world={"version": 1, "seed": 6}))
    assert len(drawn_people_tables([*runs, other])) == 2  # other people: not comparable, another table


class Page(HTMLParser):
    """Keeps tags and minds that each is closed where it was opened."""

    def __init__(self):
        super().__init__()
        self.open, self.seen = [], []

    def handle_starttag(self, tag, attributes):
        self.seen.append((tag, dict(attributes)))
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.seen.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def of(self, tag, name):
        return [a for t, a in self.seen if t == tag and name in (a.get("class") or "").split()]


def test_the_page_is_whole_and_needs_nothing_from_outside(tmp_path, capsys):
    full_run(tmp_path / "run")
    assert main(["report", str(tmp_path / "run"), "--out", str(tmp_path / "out" / "report.html")]) == 0
    assert "report.html and" in capsys.readouterr().out
    text = (tmp_path / "out" / "report.html").read_text("utf-8")
    page = Page()
    page.feed(text)
    page.close()
    assert page.open == []
    assert not re.search(r'(src|href)="(?!data:|#)', text) and "<script" not in text
    assert not re.search(r"url\((?!#)|@import", text)
    ids = [attributes["id"] for _, attributes in page.seen if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert len(page.of("table", "figures")) == 8 and len(page.of("table", "cameras")) == 1
    assert sum(tag == "svg" for tag, _ in page.seen) == 1
    assert all(attributes["alt"] for tag, attributes in page.seen if tag == "img")
    right, wrong = page.of("figure", "right"), page.of("figure", "wrong")
    assert right and wrong
    assert text.count(">✓<") == len(right) and text.count(">✗<") == len(wrong)  # not by colour alone
    assert "a &lt;note&gt;" in text and "&lt;1&gt;.jpg" in text
    told = (tmp_path / "out" / "report.md").read_text("utf-8")
    assert "| ChatReID, published | **96.4** | **97.2** |" in told and "look exchanged" in told
    assert "small (fused, 2.2 B, Stages 1 to 3), ours | 80.0 | 81.0 |" in told


def test_every_markdown_table_is_square(tmp_path):
    from training.evaluation.report.formats import markdown_report

    blocks = [b for b in markdown_report([full_run(tmp_path)]).split("\n\n") if b.startswith("|")]
    assert len(blocks) == 8
    for block in blocks:
        assert len({line.count("|") for line in block.splitlines()}) == 1


def test_without_pictures_the_page_still_comes(tmp_path):
    from training.evaluation.report.formats import html_report

    assert "Best and worst" not in html_report([run_of(tmp_path, "market1501", {"standard": {"clip": 0.5}})])


def points_of(svg, style):
    """The points of the first path with such a style."""
    path = re.search(rf'<path d="([^"]+)"[^>]*{style}', svg)
    assert path is not None
    return [tuple(map(float, point.split())) for point in re.split("[ML]", path[1])[1:]]


def test_a_curve_goes_through_its_figures():
    svg = cmc_chart("a <set>", {"clip": np.array([0.5, 1.0]), "fused": np.array([0.75, 0.75])})
    (x1, y1), (x2, y2) = points_of(svg, "stroke-width: 5")
    assert x1 < x2 and y1 > y2
    (_, level), (_, end) = points_of(svg, r"stroke: var\(--ink\); stroke-width: 1.8")
    assert level == end == pytest.approx((y1 + y2) / 2, abs=0.01)
    assert "<title>CMC curves: a &lt;set&gt;</title>" in svg
    assert "<desc>clip: 50.0 % at rank 1; fused: 75.0 % at rank 1</desc>" in svg
    assert "Rank</text>" in svg and "Queries found (%)</text>" in svg and "fused</text>" in svg
    assert svg == cmc_chart("a <set>", {"clip": np.array([0.5, 1.0]), "fused": np.array([0.75, 0.75])})


def test_the_reliability_of_confidences_is_drawn_from_its_bins(tmp_path):
    from training.evaluation.calibration_error import reliability
    from training.evaluation.report.formats import html_report

    measured = reliability(np.array([0.1, 0.1, 0.9, 0.9]), np.array([False, False, True, False]), bins=5)
    bins = measured.to_json()
    svg = reliability_chart("text", bins)
    assert "2 candidates at 10 %: 0 % right; 2 candidates at 90 %: 50 % right" in svg
    assert "Confidence shown (%)</text>" in svg and "nan" not in svg
    run = run_of(tmp_path, "market1501", {"standard": {"clip": 0.5}})
    extra = {"reliability": {"text": bins, "image": bins}, "reliability_svg": "<svg><script></script></svg>"}
    page = html_report([Evaluation(run.folder, replace(run.result, extra=extra))])
    assert page.count(f"ECE&nbsp;{measured.ece:.3f}") == 2 and "<script" not in page
    assert "Confidence</h2>" in page and page.count("<svg") == 2


def test_the_cameras_table_counts_first_answers():
    scores = np.array([[0.9, 0.1, 0.0], [0.1, 0.9, 0.0], [0.9, 0.2, 0.1]])
    relevance = Relevance.by_identity(["1", "2", "2"], ["1", "2", "3"])
    queries = Side.of(["a", "b", "c"], ["1", "2", "2"], ["1", "1", "2"])
    gallery = Side.of(["x", "y", "z"], ["1", "2", "3"], ["2", "10", "2"])
    table = cameras_table(
        rankings(map(order_of, scores), relevance, rank(scores, relevance), queries, gallery)
    )
    assert table is not None and (table.queries, table.answers) == (("1", "2"), ("2", "10"))
    assert table.cells == (((1, 1), (1, 1)), ((0, 1), None))
    nowhere = Side.of(["a", "b", "c"], ["1", "2", "2"], ["", "", ""])
    assert (
        cameras_table(rankings(map(order_of, scores), relevance, rank(scores, relevance), nowhere, gallery))
        is None
    )


def test_what_cannot_be_reported_is_told_in_one_sentence(tmp_path, capsys):
    assert main(["report", str(tmp_path), "--out", str(tmp_path / "r.html")]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and "has no result.json" in err
    full_run(tmp_path / "run")
    assert main(["report", str(tmp_path / "run"), "--out", str(tmp_path)]) == 2
    assert "is a folder" in capsys.readouterr().err
    with pytest.raises(ValueError, match="at least one folder"):
        read_evaluations([])
