"""What a sharded run reads: pictures in folders or in an object store, or the samples of a store."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple, Protocol

from natsort import natsort_keygen, ns

from serialread.datasets import SampleStore, is_store
from serialread.errors import RecordsError
from serialread.imaging import PICTURE_SUFFIXES
from serialread.imaging.loading import ImageSource
from serialread.reader import find_images
from serialread.storage import Storage, is_url

FETCHES = 8
"""Objects that a worker fetches at once: an object store answers after 10 to 50 ms."""


class Item(NamedTuple):
    """A picture of a source.

    Attributes:
        image: its name in the results.
        place: its path, its object's name, or the number of its sample.
    """

    image: str
    place: str

    @property
    def batch(self) -> str:
        """Its folder in the results' names."""
        return self.image.rpartition("/")[0]


class PictureSource(Protocol):
    """Pictures that every worker can open; can be passed to other processes."""

    def items(self) -> list[Item]:
        """All pictures, in an order that does not change."""
        ...

    def fetch(self, item: Item) -> ImageSource:
        """A picture, or its path."""
        ...

    def truth(self, item: Item) -> str | None:
        """Its text, if that is known."""
        return None


@dataclass(frozen=True, slots=True)
class FolderSource(PictureSource):
    """Pictures in files and folders that every worker sees under the same path."""

    paths: tuple[Path, ...]

    def items(self) -> list[Item]:
        """As ``find_images`` finds and names them."""
        return [Item(one.image, str(one.path.resolve())) for one in find_images(self.paths).pictures]

    def fetch(self, item: Item) -> ImageSource:
        """Its path."""
        return Path(item.place)


@dataclass(frozen=True, slots=True)
class ObjectSource(PictureSource):
    """Pictures in an object store, below a URL."""

    storage: Storage

    def items(self) -> list[Item]:
        """All objects with the suffix of a picture, in natural order.

        Raises:
            RecordsError: the store cannot be listed, or there are none.
        """
        names = [file.name for file in self.storage.files()]
        pictures = [name for name in names if PurePosixPath(name).suffix.lower() in PICTURE_SUFFIXES]
        if not pictures:
            raise RecordsError(
                f"{self.storage.url}: no pictures here. Give a URL below which there are "
                f"{', '.join(sorted(PICTURE_SUFFIXES))} files."
            )
        natural = natsort_keygen(alg=ns.PATH | ns.IGNORECASE)
        return [Item(name, name) for name in sorted(pictures, key=lambda name: (natural(name), name))]

    def fetch(self, item: Item) -> ImageSource:
        """Its bytes.

        Raises:
            RecordsError: it cannot be read: what is wrong with the connection is not wrong with the picture.
        """
        return self.storage.read(item.place)


@dataclass(frozen=True, slots=True)
class SampleSource(PictureSource):
    """The crops of a sample store or of a manifest's shards."""

    store: SampleStore

    def items(self) -> list[Item]:
        """All samples, by number."""
        return [Item(f"{number:09d}", str(number)) for number in range(len(self.store))]

    def fetch(self, item: Item) -> ImageSource:
        """Its pixels."""
        return self.store[int(item.place)].pixels

    def truth(self, item: Item) -> str | None:
        """Its label."""
        return self.store[int(item.place)].text


def source_of(places: Sequence[str]) -> PictureSource:
    """The source that paths or a URL name.

    Raises:
        RecordsError: a URL or a sample store among other places.
    """
    stores = [place for place in places if not is_url(place) and is_store(Path(place))]
    if len(places) > 1 and (alone := [*filter(is_url, places), *stores]):
        raise RecordsError(f"{alone[0]}: a URL or a sample store is read alone. Start a run for each.")
    if is_url(places[0]):
        return ObjectSource(Storage(places[0]))
    return SampleSource(SampleStore(places[0])) if stores else FolderSource(tuple(map(Path, places)))


def fetched(source: PictureSource, items: Sequence[Item]) -> Iterator[ImageSource]:
    """The pictures of items in their order, some of them fetched ahead."""
    if not isinstance(source, ObjectSource):
        yield from map(source.fetch, items)
        return
    with ThreadPoolExecutor(FETCHES) as pool:
        running: list[Future[ImageSource]] = []
        for item in items:
            running.append(pool.submit(source.fetch, item))
            if len(running) > 2 * FETCHES:
                yield running.pop(0).result()
        for future in running:
            yield future.result()
