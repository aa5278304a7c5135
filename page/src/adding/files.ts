// The files that the person dropped or chose, with their places in dropped folders.

/** A file, and its path from the folder that was given: "2024/beach.jpg". */
export interface Picked {
  file: File;
  path: string;
}

// What the server reads; its own look at the bytes decides.
const ENDINGS = new Set(
  "apng avif bmp gif heic heif hif jfif jpe jpeg jpg jxl mpo png tif tiff webp arw cr2 cr3 dng nef orf raf rw2".split(
    " ",
  ),
);

/** Whether a file is worth sending. */
export function isPicture({ name, type }: Pick<File, "name" | "type">): boolean {
  const ending = name.slice(name.lastIndexOf(".") + 1).toLowerCase();
  return !name.startsWith(".") && (ENDINGS.has(ending) || (type.startsWith("image/") && type !== "image/svg+xml"));
}

/** Return the files of an input, which may have let the person choose a folder. */
export function filesOf(input: HTMLInputElement): Picked[] {
  return [...(input.files ?? [])].map((file) => ({ file, path: file.webkitRelativePath || file.name }));
}

/** Return the files that were dropped, and those in dropped folders. */
export async function filesIn(data: DataTransfer): Promise<Picked[]> {
  // The list is empty once the event is over, so it is read before anything is awaited.
  const entries = [...data.items].flatMap((item) => item.webkitGetAsEntry() ?? []);
  if (!entries.length) return [...data.files].map((file) => ({ file, path: file.name }));
  return (await Promise.all(entries.map(filesAt))).flat();
}

async function filesAt(entry: FileSystemEntry): Promise<Picked[]> {
  const path = entry.fullPath.replace(/^\//, "");
  if (entry instanceof FileSystemFileEntry) {
    const file = await new Promise<File>((resolve, reject) => entry.file(resolve, reject));
    return [{ file, path }];
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  const found: Picked[] = [];
  for (;;) {
    // A reader answers with some of the entries, and with none at the end.
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return found;
    for (const each of some) found.push(...(await filesAt(each)));
  }
}
