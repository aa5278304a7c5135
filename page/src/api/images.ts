// Where the bytes of stored images are.

export const DEFAULT_COLLECTION = "gallery";

export type Rendition = "thumbnail" | "original";

/** What the address of a stored image is made of; the server's `Image` has it. */
interface Stored {
  collection: string;
  id: string;
  sha256: string;
}

/** Return the address of an image's bytes as they are now. They never change, so the browser keeps them. */
export function versionAddress({ collection, id, sha256 }: Stored, rendition: Rendition): string {
  return `${imageAddress(collection, id, rendition)}?v=${sha256.slice(0, 16)}`;
}

/** Return the address of an image's bytes where only its id is known. The browser asks whether they have changed. */
export function imageAddress(collection: string, id: string, rendition: Rendition): string {
  return `/images/${encodeURIComponent(collection || DEFAULT_COLLECTION)}/${encodeURIComponent(id)}/${rendition}`;
}
