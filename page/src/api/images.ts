// Where the bytes of stored images are.

export const DEFAULT_COLLECTION = "gallery";

export type Rendition = "thumbnail" | "original";

/** Return the address of an image's bytes; they never change, so the browser keeps them. */
export function imageAddress(collection: string, id: string, rendition: Rendition): string {
  return `/images/${encodeURIComponent(collection || DEFAULT_COLLECTION)}/${encodeURIComponent(id)}/${rendition}`;
}
