"""Writes the fonts of this folder: subsets of Noto Sans and Noto Sans CJK (Debian packages fonts-noto-core and fonts-noto-cjk).

pip install fonttools && python3 subset.py [FOLDER]

FOLDER holds the folders `truetype` and `opentype` of the packages; the default is /usr/share/fonts.
"""

import pathlib
import sys

from fontTools import subset
from fontTools.ttLib import TTFont


def two_byte_characters(encoding):
    """Returns all characters of a character set whose codes are two bytes from A1 to FE."""
    codes = (bytes([first, second]) for first in range(0xA1, 0xFF) for second in range(0xA1, 0xFF))
    return set("".join(code.decode(encoding, errors="ignore") for code in codes))


LATIN = {chr(code) for first, last in [
    (0x20, 0x7E), (0xA0, 0x24F), (0x300, 0x36F), (0x370, 0x3FF), (0x400, 0x45F), (0x490, 0x493),  # Latin, Greek, Cyrillic
    (0x1E00, 0x1EFF), (0x2010, 0x2027), (0x2030, 0x205E), (0x20AC, 0x20AC), (0x2116, 0x2122),
] for code in range(first, last + 1)}

FONTS = [
    ("NotoSans.ttf", "truetype/noto/NotoSans-Regular.ttf", -1, LATIN),
    ("NotoSansSC.otf", "opentype/noto/NotoSansCJK-Regular.ttc", 2, two_byte_characters("gb2312") - LATIN),
    ("NotoSansJP.otf", "opentype/noto/NotoSansCJK-Regular.ttc", 0, two_byte_characters("euc_jp") - LATIN),
]

source = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "/usr/share/fonts")
for name, file, number, characters in FONTS:
    font = TTFont(source / file, fontNumber=number, recalcTimestamp=False)
    options = subset.Options(
        hinting=False, layout_features=["ccmp", "kern", "locl", "mark", "mkmk"], name_IDs=[0, 1, 2, 13, 14], notdef_outline=False
    )
    options.drop_tables += ["BASE", "STAT", "VORG", "vhea", "vmtx"]
    subsetter = subset.Subsetter(options)
    subsetter.populate(text="".join(characters))
    subsetter.subset(font)
    font.save(pathlib.Path(__file__).parent / name)
