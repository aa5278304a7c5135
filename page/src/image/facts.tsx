// The facts of an image: time, camera, place, size, and where its original is.

import type { ComponentChildren } from "preact";
import { Icon } from "../frame/icons";
import { showMessage } from "../frame/messages";
import type { Image } from "../gen/semsearch/v1/image_pb";
import { language, number } from "../i18n/language";
import { placesOf } from "../results/names";
import { hrefOf } from "../state/address";
import { text } from "./text";

// Attributes that `semsearch sync` writes, and that are shown as the name and the places.
const PLACE_NAMES = new Set(["paths", "roots", "path", "name", "folder", "modified"]);
const NEARBY_KILOMETRES = 1;
const dateTimes = new Intl.DateTimeFormat(language, { dateStyle: "long", timeStyle: "short" });

export function Facts({ image }: { image: Image }) {
  const places = placesOf(image);
  const others = Object.entries(image.attributes ?? {}).filter(([name]) => !PLACE_NAMES.has(name));
  return (
    <dl class="facts">
      {image.takenTime && <Fact name={text.taken}>{takenText(image.takenTime)}</Fact>}
      {(image.camera || image.lens) && (
        <Fact name={text.camera}>{[image.camera, image.lens].filter(Boolean).join(" · ")}</Fact>
      )}
      {image.latitude !== undefined && image.longitude !== undefined && (
        <Fact name={text.place}>
          {degrees(image.latitude, text.north, text.south)}, {degrees(image.longitude, text.east, text.west)}{" "}
          <a href={hrefOf(nearby(image.latitude, image.longitude))}>{text.nearby(NEARBY_KILOMETRES)}</a>
        </Fact>
      )}
      <Fact name={text.size}>
        {number(image.width)} × {number(image.height)} · {bytesText(Number(image.sizeBytes))} ·{" "}
        {image.mediaType.replace("image/", "").toUpperCase()}
      </Fact>
      <Fact name={text.lies}>
        {places.map((place) => (
          <Copyable key={place} value={place} />
        ))}
        {image.originalAt ? text.originalElsewhere : text.stored}
      </Fact>
      {others.map(([name, value]) => (
        <Fact key={name} name={name}>
          {isScalar(value) ? (
            <a
              href={hrefOf({ attr: `${encodeURIComponent(name)}:${value}`, q: null, p: null, image: null, view: null })}
            >
              {String(value)}
            </a>
          ) : (
            JSON.stringify(value)
          )}
        </Fact>
      ))}
      <Fact name={text.id}>
        <Copyable value={image.id} />
      </Fact>
    </dl>
  );
}

function Fact({ name, children }: { name: string; children: ComponentChildren }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function Copyable({ value }: { value: string }) {
  const copy = () => {
    // Over plain HTTP from another machine, browsers offer no clipboard.
    if (!navigator.clipboard) return void showMessage(text.notCopied);
    void navigator.clipboard.writeText(value).then(
      () => showMessage(text.copied),
      () => showMessage(text.notCopied),
    );
  };
  return (
    <span class="copyable">
      <code>{value}</code>
      <button type="button" class="icon-button" aria-label={text.copy(value)} title={text.copyShort} onClick={copy}>
        <Icon name="link" size={16} />
      </button>
    </span>
  );
}

/** "2024-06-05T14:03:22+02:00" as the clock of the camera showed it. */
export function takenText(time: string): string {
  const found = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d)/.exec(time);
  if (!found) return time;
  const [year, month, day, hour, minute] = found.slice(1).map(Number) as [number, number, number, number, number];
  return dateTimes.format(new Date(year, month - 1, day, hour, minute));
}

/** 3200000 as "3.2 MB". */
export function bytesText(bytes: number): string {
  const units = ["byte", "kilobyte", "megabyte", "gigabyte"] as const;
  const power = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(1, bytes)) / 3));
  const format = { style: "unit", unit: units[power], unitDisplay: "short", maximumFractionDigits: power > 1 ? 1 : 0 };
  return new Intl.NumberFormat(language, format as Intl.NumberFormatOptions).format(bytes / 1000 ** power);
}

const degrees = (value: number, positive: string, negative: string): string =>
  `${Math.abs(value).toFixed(4)}° ${value < 0 ? negative : positive}`;

const nearby = (latitude: number, longitude: number) => ({
  near: `${latitude.toFixed(4)},${longitude.toFixed(4)},${NEARBY_KILOMETRES}`,
  q: null,
  p: null,
  image: null,
  view: null,
});

const isScalar = (value: unknown): value is string | number | boolean =>
  ["string", "number", "boolean"].includes(typeof value);
