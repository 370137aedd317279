"""Characters of fonts: none is drawn in a font that lacks it."""

from digit_train.fonts import Fonts
from digit_train.outliers import LETTERS


def test_every_font_has_the_latin_letters_and_no_box_for_what_it_lacks():
    fonts = Fonts(LETTERS)
    assert len(fonts.fonts) > 10
    assert all({"A", "k", "?"} <= set(known) for known in fonts.known)
    assert any(len(known) < len(LETTERS) for known in fonts.known)
