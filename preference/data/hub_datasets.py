"""Data sets of the Hugging Face Hub, read by their names through `datasets`, which runs no code of a data set."""

import itertools
import os
import re
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from preference.data.tables import Table, first_line, kind_of
from preference.errors import InputError

_NAME = re.compile(r"[\w.-]+/[\w.-]+(/[\w./-]+)?")


def is_dataset_name(source: str) -> bool:
    """Whether `source` is the name of a data set, and no file.

    >>> is_dataset_name("nvidia/HelpSteer2"), is_dataset_name("data/pairs.jsonl")
    (True, False)
    """
    return (
        bool(_NAME.fullmatch(source))
        and not kind_of(source)
        and not Path(source).exists()
        and not Path(source).parent.is_dir()
    )


def read_dataset(name: str, *, config: str | None = None, split: str | None = None, limit: int | None = None) -> Table:
    """Read a split of a data set: OWNER/NAME, or OWNER/NAME/FOLDER for the files in one of its folders.

    With a limit only its first records are fetched; otherwise the split is downloaded, and kept in the cache of `datasets`.

    Raises:
        InputError: there is no such data set, configuration or split, or the Hub cannot be reached.
    """
    owner, repository, *folder = name.split("/", 2)
    offline = os.environ.get("HF_HUB_OFFLINE", "0").upper() in ("1", "TRUE", "YES", "ON")
    unreachable = "" if offline else _try_to_reach(os.environ.get("HF_ENDPOINT") or "https://huggingface.co")
    if unreachable:
        os.environ["HF_HUB_OFFLINE"] = "1"  # read at the import: what is in the cache is used at once
    import datasets
    import huggingface_hub

    datasets.disable_progress_bars()
    huggingface_hub.logging.set_verbosity_error()
    streaming = limit is not None and not offline and not unreachable
    try:
        found = datasets.load_dataset(
            f"{owner}/{repository}", config, data_dir=folder[0] if folder else None, split=split, streaming=streaming
        )
        if split is None:
            if len(found) > 1:
                raise InputError(f"{name} has the splits {', '.join(map(str, found))}; choose one with --split")
            found = next(iter(found.values()))
        records = list(itertools.islice(found, limit))
    except InputError:
        raise
    except Exception as error:  # many kinds: of datasets, of huggingface_hub, of HTTP, of the formats
        raise InputError(f"{name}: {unreachable or _why(error, name)}") from None
    columns = list(dict.fromkeys(key for record in records for key in record))
    return Table(name, "parquet", columns, records, list(range(1, len(records) + 1)))


def _try_to_reach(endpoint: str) -> str:
    """Say why the Hub cannot be reached; "" where it can. The libraries would try for a minute."""
    try:
        urlopen(Request(endpoint, method="HEAD"), timeout=5).close()
    except HTTPError:  # it answers
        return ""
    except OSError as error:
        why = getattr(error, "reason", error)
        return f"no such file here, and {endpoint} cannot be reached ({why}); try again, or download the files and name one"
    return ""


def _why(error: Exception, name: str) -> str:
    """Say in words why a data set cannot be read."""
    said = first_line(error)
    kinds = {kind.__name__ for one in (error, error.__cause__, error.__context__) if one for kind in type(one).__mro__}
    if "GatedRepoError" in kinds or "gated" in said:
        return f"its owner grants access on request; ask for it on https://huggingface.co/datasets/{name}, then run `hf auth login`"
    if "OfflineModeIsEnabled" in kinds or "offline" in said.lower():
        return "no such file here, nor in the cache of datasets, and HF_HUB_OFFLINE is set; unset it"
    if "Config name is missing" in said or "BuilderConfig" in said:
        return f"choose a configuration with --config ({' '.join(str(error).split())[:300]})"
    if "split" in said.lower():
        return f"{said}; choose another --split"
    if "Dataset scripts are no longer supported" in said or "trust_remote_code" in said:
        return "it is built by code of its own, which is never run; look on the Hub for a copy of it in Parquet"
    if kinds & {"RepositoryNotFoundError", "DatasetNotFoundError"}:
        return "no such file here, and no such data set on the Hub, or no access to it; check the name"
    return f"cannot be read through datasets ({type(error).__name__}: {said}); download the files and name one"
