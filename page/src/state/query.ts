// The query: words, pictures, filters and options, and how the address writes them.

/** A part of a picture, in fractions of its width and height. */
export interface Crop {
  left: number;
  top: number;
  right: number;
  bottom: number;
}

/** A picture of a query: a stored image by its id, or one that the person gave, by the key of `pictures.ts`. */
export interface Picture {
  kind: "stored" | "own";
  key: string;
  weight: number;
  crop: Crop | null;
}

/** A circle on the map of the world, in degrees and kilometres. */
export interface Place {
  latitude: number;
  longitude: number;
  kilometres: number;
}

export interface Attribute {
  name: string;
  value: string;
}

export interface Filters {
  /** Dates, or beginnings of dates: "2024-06-01", "2024". Both included. */
  takenFrom: string;
  takenTo: string;
  place: Place | null;
  attributes: Attribute[];
}

export type Order = "best" | "newest";

export interface Query {
  /** Words as people type them: docs/decisions/0014. */
  text: string;
  pictures: Picture[];
  /** Empty means the default collection. */
  collection: string;
  filters: Filters;
  /** The least relevance; null means the server's own. */
  cut: number | null;
  order: Order;
  distinct: boolean;
}

export const noFilters: Filters = { takenFrom: "", takenTo: "", place: null, attributes: [] };

/** Whether a query has words or pictures; otherwise it lists the collection. */
export const isSearch = (query: Query): boolean => query.text.trim() !== "" || query.pictures.length > 0;

export const hasFilters = ({ filters }: Query): boolean =>
  Boolean(filters.takenFrom || filters.takenTo || filters.place || filters.attributes.length);

/** The parameters that a query is read from; all others belong to views. */
export const QUERY_NAMES = ["q", "p", "in", "from", "to", "near", "attr", "cut", "order", "distinct"] as const;

/** Read a query; anything that cannot be read is left out. */
export function readQuery(params: URLSearchParams): Query {
  const cut = Number.parseFloat(params.get("cut") ?? "");
  return {
    text: params.get("q") ?? "",
    pictures: params.getAll("p").flatMap(readPicture),
    collection: params.get("in") ?? "",
    filters: {
      takenFrom: params.get("from") ?? "",
      takenTo: params.get("to") ?? "",
      place: readPlace(params.get("near")),
      attributes: params.getAll("attr").flatMap(readAttribute),
    },
    cut: Number.isFinite(cut) ? Math.min(1, Math.max(0, cut)) : null,
    order: params.get("order") === "newest" ? "newest" : "best",
    distinct: params.has("distinct"),
  };
}

/** Write a query over the parameters; what is at its default is left out. */
export function writeQuery(query: Query, params: URLSearchParams): void {
  for (const name of QUERY_NAMES) params.delete(name);
  const { filters } = query;
  if (query.text) params.set("q", query.text);
  for (const picture of query.pictures) params.append("p", writePicture(picture));
  if (query.collection) params.set("in", query.collection);
  if (filters.takenFrom) params.set("from", filters.takenFrom);
  if (filters.takenTo) params.set("to", filters.takenTo);
  if (filters.place) {
    const { latitude, longitude, kilometres } = filters.place;
    params.set("near", [latitude, longitude, kilometres].map(short).join(","));
  }
  for (const { name, value } of filters.attributes) params.append("attr", `${encodeURIComponent(name)}:${value}`);
  if (query.cut !== null) params.set("cut", short(query.cut));
  if (query.order !== "best") params.set("order", query.order);
  if (query.distinct) params.set("distinct", "");
}

// "stored:ID", "own:KEY^-0.5@0.1,0.2,0.8,0.9"; ids may hold any character, so they are escaped once more.
function writePicture({ kind, key, weight, crop }: Picture): string {
  const power = weight === 1 ? "" : `^${short(weight)}`;
  const part = crop ? `@${[crop.left, crop.top, crop.right, crop.bottom].map(short).join(",")}` : "";
  return `${kind}:${encodeURIComponent(key)}${power}${part}`;
}

function readPicture(text: string): Picture[] {
  const found = /^(stored|own):([^^@]+)(?:\^(-?[\d.]+))?(?:@([\d.,]+))?$/.exec(text);
  if (!found) return [];
  const weight = found[3] === undefined ? 1 : Number.parseFloat(found[3]);
  const [left, top, right, bottom] = (found[4] ?? "").split(",").map(Number.parseFloat);
  const crop =
    left !== undefined &&
    top !== undefined &&
    right !== undefined &&
    bottom !== undefined &&
    right > left &&
    bottom > top
      ? { left, top, right, bottom }
      : null;
  const key = unescaped(found[2] ?? "");
  return weight && key ? [{ kind: found[1] as Picture["kind"], key, weight, crop }] : [];
}

function readPlace(text: string | null): Place | null {
  const [latitude, longitude, kilometres] = (text ?? "").split(",").map(Number.parseFloat);
  if (latitude === undefined || longitude === undefined || kilometres === undefined) return null;
  return Math.abs(latitude) <= 90 && Math.abs(longitude) <= 180 && kilometres > 0
    ? { latitude, longitude, kilometres }
    : null;
}

function readAttribute(text: string): Attribute[] {
  const colon = text.indexOf(":");
  const name = unescaped(text.slice(0, Math.max(colon, 0)));
  return name ? [{ name, value: text.slice(colon + 1) }] : [];
}

function unescaped(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return "";
  }
}

const short = (value: number): string => String(Number(value.toFixed(4)));
