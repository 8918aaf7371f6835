"""Names of users, as they are shown."""

from hypothesis import given
from hypothesis import strategies as st

from softkmeans._utils.text import printable


@given(st.text())
def test_a_shown_text_does_nothing(text):
    shown = printable(text)
    assert shown.isprintable()
    assert shown == text or not text.isprintable()


def test_ordinary_names_stay():
    for name in ("price", "Größe (m²)", "年齢", "a b", "", "$x$"):
        assert printable(name) == name
    assert printable("a\nb\x1b[0m\u2028") == "a\\nb\\x1b[0m\\u2028"
