// A picture of the query: a chip with its thumbnail, and with a frame to use only a part of it.

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { services } from "../api/clients";
import { DEFAULT_COLLECTION, imageAddress } from "../api/images";
import { useRequest } from "../api/request";
import { Icon } from "../frame/icons";
import { Later } from "../frame/later";
import { nameOf } from "../results/names";
import { type ask, query } from "../state/address";
import { pictureOf } from "../state/pictures";
import type { Picture } from "../state/query";
import { Chip } from "./chip";
import { text } from "./text";
import { typed } from "./typing";

interface Properties {
  picture: Picture;
  onChange: (picture: Picture, change?: typeof ask) => void;
  onRemove: () => void;
}

export function PictureChip({ picture, onChange, onRemove }: Properties) {
  const source = usePicture(picture);
  const cropping = useSignal(false);
  const name = useName(picture);
  const missing = picture.kind === "own" ? text.missing : text.gone;
  const cropLabel = picture.crop ? text.cropped : text.crop;
  return (
    <>
      <Chip
        class="with-picture"
        name={name}
        weight={picture.weight}
        onWeight={(weight) => onChange({ ...picture, weight }, typed)}
        onSign={() => onChange({ ...picture, weight: -picture.weight })}
        onRemove={onRemove}
        before={
          source.value === null ? (
            <span class="chip-missing" role="img" aria-label={missing} title={missing}>
              <Icon name="help" size={16} />
            </span>
          ) : (
            <Part
              source={source.value}
              picture={picture}
              name={name}
              onMissing={() => {
                source.value = null;
              }}
            />
          )
        }
      >
        {source.value && (
          <button
            type="button"
            class="chip-crop"
            aria-pressed={picture.crop !== null}
            aria-label={cropLabel}
            title={cropLabel}
            onClick={() => {
              cropping.value = true;
            }}
          >
            <Icon name="crop" size={15} />
          </button>
        )}
      </Chip>
      {cropping.value && source.value && (
        <Later
          load={loadCrop}
          source={picture.kind === "own" ? source.value : imageAddress(query.value.collection, picture.key, "original")}
          fallback={source.value}
          crop={picture.crop}
          onCrop={(crop) => {
            cropping.value = false;
            if (crop !== undefined) onChange({ ...picture, crop });
          }}
        />
      )}
    </>
  );
}

const loadCrop = () => import("./crop_dialog");

interface PartProperties {
  source: string;
  picture: Picture;
  name: string;
  onMissing: () => void;
}

/** The thumbnail; of a part, only that part is shown. */
function Part({ source, picture: { crop }, name, onMissing }: PartProperties) {
  const { left, top, right, bottom } = crop ?? { left: 0, top: 0, right: 1, bottom: 1 };
  const [wide, high] = [right - left, bottom - top];
  return (
    <span class="chip-picture">
      {source && (
        <img
          src={source}
          alt={name}
          onError={onMissing}
          style={
            crop
              ? {
                  width: `${100 / wide}%`,
                  height: `${100 / high}%`,
                  left: `${(-100 * left) / wide}%`,
                  top: `${(-100 * top) / high}%`,
                  objectFit: "fill",
                }
              : {}
          }
        />
      )}
    </span>
  );
}

/** Return the address of a picture's thumbnail: "" while it is loaded, null if this browser does not have it. */
function usePicture({ kind, key }: Picture) {
  const source = useSignal<string | null>("");
  const collection = query.value.collection || DEFAULT_COLLECTION;
  useEffect(() => {
    if (kind === "stored") {
      source.value = imageAddress(collection, key, "thumbnail");
      return;
    }
    let address = "";
    let isOver = false;
    void pictureOf(key).then(
      (blob) => {
        if (isOver) return;
        address = URL.createObjectURL(blob);
        source.value = address;
      },
      () => {
        if (!isOver) source.value = null;
      },
    );
    return () => {
      isOver = true;
      URL.revokeObjectURL(address);
    };
  }, [kind, key, collection, source]);
  return source;
}

/** Return the name of a picture; that of a stored one is fetched. If it is gone, its thumbnail says so. */
function useName({ kind, key }: Picture): string {
  const { collection } = query.value;
  const asked = useRequest(
    `${collection}/${kind}/${key}`,
    async (signal) => (kind === "own" ? null : services.gallery.getImage({ id: key, collection }, { signal })),
    0,
  );
  const image = asked.value.answer?.image;
  return image ? nameOf(image) : kind === "own" ? text.ownPicture : text.picture;
}
