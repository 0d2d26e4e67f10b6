"""The files of code systems as operators have them: single, in folders, or in the archives that publishers offer."""

import io
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from types import TracebackType
from typing import IO

from chartwire.core.errors import ParseError, ValidationError
from chartwire.formats.codes import Lines


class CodeFiles(AbstractContextManager["CodeFiles"]):
    """Every file under some paths, by name: `folder/file`, and `archive.zip/folder/file` for what is in an archive."""

    def __init__(self, paths: Iterable[Path]) -> None:
        self._open = ExitStack()
        self.files: dict[str, Lines] = {}
        for path in paths:
            self._add(path)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def _add(self, path: Path) -> None:
        if path.is_dir():
            for inner in sorted(path.rglob("*")):
                if inner.is_file():
                    self._add(inner)
        elif path.suffix.lower() == ".zip":
            self._add_archive(path)
        else:
            self.files[path.as_posix()] = lambda: _lines(path.as_posix(), path.open("rb"))

    def _add_archive(self, path: Path) -> None:
        try:
            archive = self._open.enter_context(zipfile.ZipFile(path))
        except zipfile.BadZipFile:
            raise ValidationError(f"{path}: not a zip archive", code="code_archive") from None
        for name in archive.namelist():
            self.files[f"{path.as_posix()}/{name}"] = _member(archive, name)


def _member(archive: zipfile.ZipFile, name: str) -> Lines:
    return lambda: _lines(name, archive.open(name))


def _lines(name: str, binary: IO[bytes]) -> Iterator[str]:
    """The lines of a file in UTF-8. Raises ParseError (`code_text`) for another encoding."""
    with io.TextIOWrapper(binary, "utf-8-sig", newline="") as text:
        try:
            yield from text
        except UnicodeDecodeError:
            raise ParseError(f"{name} is not UTF-8", code="code_text") from None
