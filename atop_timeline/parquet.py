"""What makes a Parquet timeline one that can be read again."""

from pathlib import Path

from atop_timeline import hostfiles
from atop_timeline.errors import EvidenceError
from atop_timeline.store import Questions, literal

LEFT_OUT = "left_out"
"""The key of its metadata that names the attributes which its profile left out, as JSON."""

_MAGIC = b"PAR1"


def is_parquet(source: str) -> bool:
    """Whether a source is a Parquet file."""
    try:
        if not Path(source).is_file():
            return False
        with hostfiles.opened(source) as stream:
            return stream.read(len(_MAGIC)) == _MAGIC
    except OSError:
        return False


def linked(source: str, directory: Path, number: int) -> str:
    """The same file by a name in a directory that DuckDB takes for no pattern."""
    link = directory / f"{number}.parquet"
    link.symlink_to(Path(source).resolve())
    return str(link)


def check_whole(questions: Questions, source: str, link: str, needed: set[str]) -> None:
    """Raises `EvidenceError` where a profile left out attributes that are needed of a timeline."""
    names = "unnest(from_json(decode(value), '[\"VARCHAR\"]'))"
    left_out = f"SELECT {names} FROM parquet_kv_metadata({literal(link)}) WHERE decode(key) = {literal(LEFT_OUT)}"
    missing = sorted(needed & {name for (name,) in questions.execute(left_out)})
    if missing:
        raise EvidenceError(f"{source}: its profile left out what is needed: {', '.join(missing)}")
