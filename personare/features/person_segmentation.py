"""Where people are in a picture, pixel by pixel, by MediaPipe's selfie segmenter; nothing phones home."""

from typing import Any, Self

import numpy as np

from personare.core.types import Array
from personare.features.models import find_model


class PersonSegmenter:
    """Tells of each pixel with what confidence it shows a person: hair, clothes and body alike.

    **Source**: MediaPipe's selfie segmenter (Apache-2.0), the square model, pinned at 0.10.33 as the face mesh is. It
    was made for people within about four meters of the camera; it knows frames one by one.
    """

    _task: Any = None

    def __enter__(self) -> Self:
        from mediapipe.tasks.python import BaseOptions, vision

        options = vision.ImageSegmenterOptions(
            base_options=BaseOptions(model_asset_path=str(find_model("selfie_segmenter"))),
            output_confidence_masks=True,
            output_category_mask=False,
        )
        self._task = vision.ImageSegmenter.create_from_options(options)
        return self

    def __exit__(self, *_: object) -> None:
        self._task.close()

    def confidence(self, image: Array) -> Array:
        """Return (height, width) float32 from 0, background, to 1, a person, of a picture, uint8 RGB."""
        import mediapipe

        picture = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(image))
        mask: Array = self._task.segment(picture).confidence_masks[0].numpy_view()
        return mask.reshape(image.shape[:2]).copy()
