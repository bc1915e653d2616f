"""Which judgements of operators calibration takes from a gallery's audit, and of which query."""

from dataclasses import replace

import pytest

from app.model.reid_model import ReidModel
from app.model.vocabulary import Attribute
from app.query_json import query_json
from app.retrieval.engine import Engine
from app.retrieval.query import Query, Reference
from app.service import ChatService
from gallery_store.encoder import ClipEncoder
from gallery_store.importer import import_crops
from gallery_store.store import GalleryStore
from tests.clip_folder import make_clip_folder
from tests.gallery_tools import all_crops
from tests.tiny_qwen import tiny_folder
from training.calibration.audit import judged_in
from training.calibration.searches import CalibrationError
from training.synthetic.market1501 import FOLDER, write_market1501

COAT = Query((Attribute("upper_colour", "red"),))


@pytest.fixture
def gallery(tmp_path):
    write_market1501(tmp_path, 6, seed=5)
    with GalleryStore.open(tmp_path / "own.db") as store:
        encoder = ClipEncoder.load(make_clip_folder(tmp_path / "clip"))
        import_crops(store, encoder, tmp_path / FOLDER / "bounding_box_train")
    return tmp_path / "own.db"


def ids_of(gallery):
    with GalleryStore.open(gallery) as store:
        return [crop.id for crop in all_crops(store)]


def judged_after(gallery, *asked, user="", case=None):
    """{query: (right, wrong)} of these searches, one after another. asked: a query, or (query, more that is told)."""
    with GalleryStore.open(gallery) as store:
        for one in asked:
            query, more = one if isinstance(one, tuple) else (one, {})
            told = query_json(query) | more
            store.record_search(user=user, reason="", query=told, shown=[], seconds=0.0, case=case)
    return {one.query: (set(one.right), set(one.wrong)) for one in judged_in(gallery).queries}


def confirmed(query, crop):
    return replace(
        query,
        references=(*query.references, Reference(image_id=crop)),
        confirmed=query.confirmed | {crop},
    )


def rejected(query, crop):
    return replace(query, rejected=query.rejected | {crop})


def by(*crops):
    return Query(references=tuple(Reference(image_id=crop) for crop in crops))


def test_a_judgement_is_of_the_search_that_it_was_given_in_and_of_no_later_one(gallery):
    a, b, c, d = ids_of(gallery)[:4]
    first = confirmed(COAT, a)
    second = rejected(first, b)
    other_words = replace(second, wanted=(Attribute("upper_colour", "blue"),))
    assert judged_after(gallery, COAT, first, second, other_words, confirmed(other_words, c)) == {
        COAT: ({a}, set()),
        replace(COAT, references=by(a).references): (set(), {b}),
        Query(other_words.wanted, references=by(a).references): ({c}, set()),
    }
    # Another picture instead: what was rejected before is not rejected of it.
    anew = replace(by(d), rejected=frozenset([b]))
    told = judged_after(gallery, by(c), rejected(by(c), b), anew, rejected(anew, a))
    assert told[by(c)] == (set(), {b})
    assert told[by(d)] == (set(), {a})


def test_a_search_by_a_crop_that_was_confirmed_counts(gallery):
    a, b, c = ids_of(gallery)[:3]
    by_it = replace(by(b), confirmed=frozenset([b]))
    told = judged_after(gallery, by(a), confirmed(by(a), b), by_it, rejected(by_it, c))
    assert told == {by(a): ({b}, set()), by(b): (set(), {c})}
    assert judged_in(gallery).skipped == 0


def test_two_tabs_do_not_mix(gallery):
    a, b, c, d = ids_of(gallery)[:4]
    told = judged_after(
        gallery, by(a), COAT, rejected(by(a), c), confirmed(COAT, d), rejected(rejected(by(a), c), b)
    )
    assert told == {by(a): (set(), {b, c}), COAT: ({d}, set())}


def test_who_changes_their_mind_or_takes_it_back_is_heard(gallery):
    a, b, c = ids_of(gallery)[:3]
    wrong = rejected(by(a), c)
    back = (by(a), {"taken_back": {"rejected": [c]}})
    with pytest.raises(CalibrationError, match="was confirmed or rejected that could be asked again"):
        judged_after(gallery, by(a), wrong, back)
    assert judged_after(gallery, wrong) == {by(a): (set(), {c})}
    assert judged_after(gallery, by(b), confirmed(by(b), c), rejected(by(b), c))[by(b)] == (set(), {c})


def test_what_is_taken_back_in_one_case_stands_in_the_others(gallery):
    a, b, c = ids_of(gallery)[:3]
    judged_after(gallery, by(a), rejected(by(a), c), case="one")
    judged_after(gallery, by(b), rejected(by(b), c), case="two")
    back = (by(b), {"taken_back": {"rejected": [c]}})
    assert judged_after(gallery, back, case="two") == {by(a): (set(), {c})}
    # Nor does a judgement of the same crop in another case change anybody's mind.
    judged_after(gallery, COAT, confirmed(COAT, c), case="three")
    assert judged_after(gallery, case="four")[by(a)] == (set(), {c})


def test_who_shares_a_case_takes_back_what_the_other_judged(gallery):
    a, b, c = ids_of(gallery)[:3]
    judged_after(gallery, by(a), rejected(by(a), b), rejected(rejected(by(a), b), c), user="ann", case="one")
    back = (rejected(by(a), c), {"taken_back": {"rejected": [b]}})
    assert judged_after(gallery, back, user="bob", case="one") == {by(a): (set(), {c})}


def test_searches_by_a_photo_are_left_out_and_why_is_said(gallery, tmp_path):
    a, b = ids_of(gallery)[:2]
    photo = Query(references=(Reference(file=tmp_path / "photo.jpg"),))
    judged_after(gallery, by(a), rejected(by(a), b), photo, rejected(photo, b))
    told = str(judged_in(gallery))
    assert "1 judged in searches by a photo are left out" in told
    assert "not kept" not in told and "under which key its case keeps the photo" in told


def test_a_judgement_whose_search_is_not_in_the_audit_is_left_out(gallery):
    a, b = ids_of(gallery)[:2]
    with pytest.raises(CalibrationError, match="was confirmed or rejected that could be asked again"):
        judged_after(gallery, rejected(by(a), b))
    with pytest.raises(CalibrationError, match="was confirmed or rejected that could be asked again"):
        judged_after(gallery, by(a), user="ann")


def test_which_model_answered_and_an_export_between_two_searches_part_nothing(gallery):
    first, *_ = ids_of(gallery)
    with GalleryStore.open(gallery) as store:
        for more in ({"engine": {"calibration": None}}, {"engine": {"calibration": {"tau": 0.1}}}):
            asked = confirmed(COAT, first) if more["engine"]["calibration"] else COAT
            store.record_search(user="", reason="", query=query_json(asked) | more, shown=[], seconds=0.0)
            exported = {"exported": {"manifest": "", "signed": False}}
            store.record_search(user="", reason="", query=exported, shown=[first], seconds=0.0)
    assert judged_after(gallery) == {COAT: ({first}, set())}


def in_order(query):
    """As the audit keeps it: what is wanted by name."""
    return replace(query, wanted=tuple(sorted(query.wanted, key=lambda attribute: attribute.kind)))


def test_the_apps_own_steps_are_understood(gallery, tmp_path):
    with GalleryStore.open(gallery) as store:
        engine = Engine(store, ClipEncoder.load(tmp_path / "clip"), ReidModel.load(tiny_folder()))
        session = ChatService(engine).get("ann", "tab")
        session.say("a man in a white shirt")
        words, found = session.query, session.cards[0].image_id
        session.confirm(found)
        session.say("with a hat")
        both, wrong = session.query, session.cards[0].image_id
        session.reject(wrong)
        session.search_with(found)
        other = session.cards[0].image_id
        session.reject(other)
        session.undo()
        session.reject(session.cards[1].image_id)
        (last,) = session.query.rejected - {wrong}
        by_mistake = session.cards[0].image_id
        session.reject(by_mistake)
        session.take_off(by_mistake)
        session.confirm(by_mistake)
        session.remove_chip(f"reference:{by_mistake}")
    assert {one.query: (set(one.right), set(one.wrong)) for one in judged_in(gallery).queries} == {
        in_order(words): ({found}, set()),
        in_order(replace(both, confirmed=frozenset())): (set(), {wrong}),
        by(found): (set(), {last}),
    }
    assert last != other
