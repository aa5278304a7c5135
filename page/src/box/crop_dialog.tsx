// Chooses the part of a picture to search with, by a frame.

import { useSignal } from "@preact/signals";
import Cropper, { type CropperSelection } from "cropperjs";
import { useEffect, useRef } from "preact/hooks";
import { Dialog } from "../frame/dialog";
import type { Crop } from "../state/query";
import { text } from "./text";

interface Properties {
  source: string;
  /** Shown if the source cannot be: an original may be elsewhere, or in a format that only the server reads. */
  fallback: string;
  crop: Crop | null;
  /** Called with the part, with null for all of the picture, or with undefined to leave it as it was. */
  onCrop: (crop: Crop | null | undefined) => void;
}

const TEMPLATE = `<cropper-canvas background>
  <cropper-image initial-center-size="contain"></cropper-image>
  <cropper-shade hidden></cropper-shade>
  <cropper-handle action="select" plain></cropper-handle>
  <cropper-selection initial-coverage="0.6" movable resizable keyboard outlined>
    <cropper-grid role="grid" covered></cropper-grid>
    <cropper-handle action="move" theme-color="rgba(255, 255, 255, 0.2)"></cropper-handle>
    <cropper-handle action="n-resize"></cropper-handle>
    <cropper-handle action="e-resize"></cropper-handle>
    <cropper-handle action="s-resize"></cropper-handle>
    <cropper-handle action="w-resize"></cropper-handle>
    <cropper-handle action="ne-resize"></cropper-handle>
    <cropper-handle action="nw-resize"></cropper-handle>
    <cropper-handle action="se-resize"></cropper-handle>
    <cropper-handle action="sw-resize"></cropper-handle>
  </cropper-selection>
</cropper-canvas>`;

export default function CropDialog({ source, fallback, crop, onCrop }: Properties) {
  const picture = useRef<HTMLImageElement>(null);
  const cropper = useRef<Cropper | null>(null);
  const address = useSignal(source);
  const isReady = useSignal(false);
  useEffect(() => {
    if (!picture.current) return;
    isReady.value = false;
    const made = new Cropper(picture.current, { template: TEMPLATE });
    cropper.current = made;
    void made.getCropperImage()?.$ready(() => {
      // The picture is fitted into the canvas in the next frame.
      requestAnimationFrame(() =>
        requestAnimationFrame(() => {
          if (crop) frame(made, crop);
          isReady.value = true;
        }),
      );
    });
    return () => made.destroy();
  }, [crop, address.value]);
  const use = () => {
    const selection = cropper.current?.getCropperSelection();
    if (cropper.current && selection) onCrop(cropOf(cropper.current, selection));
  };
  return (
    <Dialog title={text.cropTitle} onClose={() => onCrop(undefined)}>
      <p class="quiet">{text.cropHelp}</p>
      <div class="crop-place">
        <img
          key={address.value}
          ref={picture}
          src={address.value}
          alt=""
          onError={() => {
            address.value = fallback;
          }}
        />
      </div>
      <div class="dialog-buttons">
        <button type="button" class="button plain" onClick={() => onCrop(undefined)}>
          {text.cancel}
        </button>
        <button type="button" class="button" onClick={() => onCrop(null)}>
          {text.cropWhole}
        </button>
        <button type="button" class="button main" disabled={!isReady.value} onClick={use}>
          {text.cropDone}
        </button>
      </div>
    </Dialog>
  );
}

/** Put the frame around a part of the picture. */
function frame(cropper: Cropper, crop: Crop): void {
  const box = shownBox(cropper);
  cropper
    .getCropperSelection()
    ?.$change(
      box.left + crop.left * box.width,
      box.top + crop.top * box.height,
      (crop.right - crop.left) * box.width,
      (crop.bottom - crop.top) * box.height,
    );
}

/** Where the picture is shown in the canvas. */
function shownBox(cropper: Cropper) {
  const canvas = cropper.getCropperCanvas()?.getBoundingClientRect();
  const image = cropper.getCropperImage()?.getBoundingClientRect();
  if (!canvas || !image) return { left: 0, top: 0, width: 1, height: 1 };
  return { left: image.left - canvas.left, top: image.top - canvas.top, width: image.width, height: image.height };
}

/** Return a selection in fractions of the picture; what reaches beyond the picture is cut off. */
function cropOf(cropper: Cropper, selection: CropperSelection): Crop | null {
  const box = shownBox(cropper);
  const fraction = (value: number) => Math.min(1, Math.max(0, value));
  const crop = {
    left: fraction((selection.x - box.left) / box.width),
    top: fraction((selection.y - box.top) / box.height),
    right: fraction((selection.x + selection.width - box.left) / box.width),
    bottom: fraction((selection.y + selection.height - box.top) / box.height),
  };
  return crop.right - crop.left > 0.01 && crop.bottom - crop.top > 0.01 ? crop : null;
}
