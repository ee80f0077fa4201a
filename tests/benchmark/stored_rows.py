"""Made Parquet files of the form that the Hub gives datasets with pictures: structs of bytes and path."""

from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def picture(shade: int, size: tuple[int, int] = (8, 4), kind: str = "PNG") -> bytes:
    """A picture of one colour, another for each shade."""
    file = BytesIO()
    Image.new("RGB", size, (shade % 256, 40, 200)).save(file, kind)
    return file.getvalue()


def stored(shade: int, path: str | None = "picture.png") -> dict[str, Any]:
    return {"bytes": picture(shade), "path": path}


def write(path: Path, rows: Sequence[Mapping[str, Any]], types: Mapping[str, pa.DataType]) -> Path:
    """Rows as a Parquet file; columns that `types` does not name take the type of their values."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = {name: pa.array([row.get(name) for row in rows], types.get(name)) for name in names}
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)
    return path
