// Pictures that the person gave, kept in this browser so that Back and loading the page again find them. The key is a
// digest of the bytes. A link has only the key, so on another machine the picture is missing, and the chip says so.

const DATABASE = "semsearch";
const STORE = "pictures";
// Models see a few hundred pixels an edge, so larger pictures only cost time.
const LARGEST_EDGE = 1_280;

/** The picture of a key is not in this browser. */
export class PictureMissing extends Error {}

const kept = new Map<string, Blob>();

/** Keep a picture; return its key. Pictures that the browser cannot read are kept as they are, for the server. */
export async function keepPicture(file: Blob): Promise<string> {
  const blob = await reduced(file);
  const key = await keyOf(blob);
  kept.set(key, blob);
  await inStore("readwrite", (store) => store.put(blob, key)).catch(() => {
    // A private window may refuse to store; the picture then lasts as long as the page.
  });
  return key;
}

/** Return the picture of a key, or throw PictureMissing. */
export async function pictureOf(key: string): Promise<Blob> {
  const known = kept.get(key);
  if (known) return known;
  const blob = await inStore<Blob | undefined>("readonly", (store) => store.get(key)).catch(() => undefined);
  if (!blob) throw new PictureMissing(key);
  kept.set(key, blob);
  return blob;
}

/** Return the bytes of the picture of a key, or throw PictureMissing. */
export async function bytesOf(key: string): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await (await pictureOf(key)).arrayBuffer());
}

/** Return the beginning of the SHA-256, or a random key where the browser has none: over plain HTTP from elsewhere. */
async function keyOf(blob: Blob): Promise<string> {
  const bytes = isSecureContext
    ? new Uint8Array(await crypto.subtle.digest("SHA-256", await blob.arrayBuffer())).slice(0, 12)
    : crypto.getRandomValues(new Uint8Array(12));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function reduced(file: Blob): Promise<Blob> {
  const bitmap = await createImageBitmap(file).catch(() => null);
  if (!bitmap) return file;
  const scale = LARGEST_EDGE / Math.max(bitmap.width, bitmap.height);
  if (scale >= 1 && file.size < 2 ** 21) return file;
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(bitmap.width * Math.min(1, scale)));
  canvas.height = Math.max(1, Math.round(bitmap.height * Math.min(1, scale)));
  canvas.getContext("2d")?.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  return (await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, "image/webp", 0.92))) ?? file;
}

function inStore<T>(mode: IDBTransactionMode, act: (store: IDBObjectStore) => IDBRequest): Promise<T> {
  return new Promise((resolve, reject) => {
    const opening = indexedDB.open(DATABASE, 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore(STORE);
    opening.onerror = () => reject(opening.error);
    opening.onsuccess = () => {
      const request = act(opening.result.transaction(STORE, mode).objectStore(STORE));
      request.onsuccess = () => resolve(request.result as T);
      request.onerror = () => reject(request.error);
    };
  });
}
