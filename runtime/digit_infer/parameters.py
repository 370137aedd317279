"""What the normaliser can be told."""

from dataclasses import dataclass

VERSION = 5


@dataclass(frozen=True)
class Parameters:
    """Every number that the result depends on; goes into the model file with VERSION."""

    work_side: int = 256  # px, longest side while looking for the digit
    paper_side: int = 64  # px, longest side while estimating the paper
    paper_window: float = 0.4  # of that side; wider than any stroke, or thick markers come out hollow
    faintest_ink: float = 12.0  # grey levels between ink and paper below which a picture is blank
    faintest_over_grain: float = 14.0  # the same, in standard deviations of the paper's grain
    spot: float = 1.5  # times as wide as a dark stroke: light on the paper, and no ink
    shaded: float = 0.8  # of the brightest paper: where it is darker, ink is as much darker as the paper is
    jump: float = 0.2  # of the darkest ink, along the rim within two pixels: where ink reaches it
    ink_from: float = 0.15  # of the darkest ink: where ink begins
    ink_full: float = 0.75  # of the darkest ink: where it counts as full
    ink_edge: float = 0.4  # of full ink: where the digit's outline runs
    ruling: float = 0.83  # of full ink: what runs across the picture and is paler is the paper's
    speck: float = 0.03  # of the main piece's area: smaller pieces are dirt
    near: float = 0.3  # of the main piece's size: pieces further off belong to something else
    beside: float = 0.5  # likeness to the main piece from which a piece beside it is another digit
    rim_weight: float = 0.1  # of a line, or a piece that touches the picture's rim, when the main piece is chosen
    flat: float = 8.0  # times as wide as high: a line, unless the digit is wider
    smallest: float = 0.04  # of the picture's longer side: a smaller digit is dirt on an empty page
    smallest_in_strip: float = 0.25  # of its shorter side, where that is less: the same in a long strip
    loud: float = 0.25  # of the main piece's size: smaller pieces are no ink all over the place, however many
    frame: float = 0.08  # of the picture's shorter side: how wide a frame around the rim is cut off
    roomy: int = 56  # px, the shorter side, from which frames may be three times as wide and grain is averaged out
    sheet: float = 0.08  # of the picture: a rectangle at least so large may be the sheet that the digit stands on
    sheet_rectangle: float = 0.85  # of the smallest rectangle around a sheet that it fills at least
    sheet_drawn: float = 0.3  # of a sheet that holes in it, what is drawn on it, take at most
    sheet_split: float = 0.75  # of the variance that two levels, of a sheet and around it, explain at least
    sheet_step: float = 0.45  # of the range of levels that these two are apart at least
    frame_rim: float = 0.15  # of a piece's box on each side: a piece with all its ink there, around another, is a frame
    enclosed: float = 0.25  # of a frame's size: what is at least as large may be the digit in it
    edges: int = 2  # at most so many pieces that touch the rim are not counted as ink all over the place
    box: int = 20  # px, longest side of the digit in the result
    thinnest: float = 2.4  # px in the box; thinner strokes are thickened to this


PARAMETERS = Parameters()
