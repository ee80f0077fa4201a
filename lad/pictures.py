"""Image files as a viewer shows them: the one way in which models, embeddings and figures see a picture."""

import numpy as np
from PIL import Image, ImageOps


def as_shown(file: Image.Image) -> Image.Image:
    """An opened file as 8-bit RGB: EXIF rotation applied, transparency on white, all of 16 bits of grey kept in view.

    Grey and CMYK files and palettes become RGB by Pillow's formulas. Colour profiles are ignored, as the paper's code
    and the models' own processors ignore them: a picture in a wider colour space than sRGB looks paler. Pixels of 32
    bits, which have no agreed white, are clipped at 255.

    Raises:
        OSError, SyntaxError: the file is damaged.
    """
    picture = ImageOps.exif_transpose(file)
    if picture.has_transparency_data:
        # Left alone, whatever colour a program stored where nothing is to be seen would show.
        white = Image.new("RGBA", picture.size, "white")
        return Image.alpha_composite(white, picture.convert("RGBA")).convert("RGB")
    if picture.mode.startswith("I;16"):
        # Pillow's own conversion clips at 255 and leaves nearly all of it white.
        picture = Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
    return picture.convert("RGB")
