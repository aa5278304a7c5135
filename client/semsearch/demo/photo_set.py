"""The set of photos that the demo fetches: its address, checksum and licence.

The size and the checksum are those that TensorFlow Datasets publishes for the archive (tensorflow/datasets,
`tensorflow_datasets/url_checksums/tf_flowers.txt`). The archive's LICENSE.txt names the licence, and each photo's
photographer and page. None of the models was trained on this set; the networks below them were trained on ImageNet,
which has daisies and takes its photos from Flickr too, so single photos may be in both.

Others were considered: Crossmodal-3600 has everyday photos of the whole world, but is 3.5 GB; COCO's validation set is
0.8 GB, and its photos have licences of many kinds; Caltech-101 has more kinds of things, but no credits, and its
publisher gives an MD5 only.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PhotoSet:
    """A tar archive of photos in folders named after what they show, below one folder, `root`.

    `queries` are worth trying; the last names something that no photo shows.
    """

    name: str
    description: str
    url: str
    size_bytes: int
    sha256: str
    root: str
    licence: str
    licence_url: str
    queries: tuple[str, ...]


FLOWERS = PhotoSet(
    name="flowers",
    description="3,670 photos of daisies, dandelions, roses, sunflowers and tulips from Flickr, collected by the"
    " TensorFlow authors",
    url="https://storage.googleapis.com/download.tensorflow.org/example_images/flower_photos.tgz",
    size_bytes=228_813_984,
    sha256="4c54ace7911aaffe13a365c34f650e71dd5bf1be0a58b464e5a7183e3e595d9c",
    root="flower_photos",
    licence="CC BY 2.0",
    licence_url="https://creativecommons.org/licenses/by/2.0/",
    queries=("sunflower", "bee", "bouquet", "field of tulips", "rose -red", "elephant"),
)
