import { counted, inLanguage, language, number } from "../i18n/language";

/** 26000000 as "26 MB". */
export function sizeText(bytes: number): string {
  const format = { style: "unit", unit: "megabyte", maximumFractionDigits: bytes < 10 ** 7 ? 1 : 0 } as const;
  return new Intl.NumberFormat(language, format).format(bytes / 10 ** 6);
}

const en = {
  title: "Models",
  about:
    "A model puts words and images into one space. You can switch to another at any time: you can search and add images while all images are read again.",
  here: "Ready to use",
  active: "Active",
  facts: (words: string, dimension: number) => `${words} words · ${dimension} dimensions`,
  usedBy: (collections: string[]) => `Used by ${collections.join(", ")}`,
  activate: "Activate",
  activateTitle: (name: string) => `Activate ${name}?`,
  activateHelp: (count: number) =>
    `${counted(count, "image is", "images are")} read again. You can search and add images meanwhile. Each collection switches when all of its images are read.`,
  words: (done: number, total: number) => `Words: ${number(done)} of ${number(total)}`,
  images: (done: number, total: number, failed: number) =>
    `Images: ${number(done)} of ${number(total)}${failed ? `, ${number(failed)} could not be read` : ""}`,
  activated: (name: string) => `${name} is active now.`,
  toFetch: "More models",
  download: (size: string) => `Download of ${size}`,
  noDownload: "Made from installed files, without a download",
  fetch: "Get",
  again: "Try again",
  making: "Being made …",
  bytes: (done: string, total: string) => `${done} of ${total}`,
  pulled: (name: string) => `${name} is ready. Activate it to use it.`,
};

export const text = inLanguage(en, {
  title: "Modelle",
  about:
    "Ein Modell legt Wörter und Bilder in einen Raum. Sie können jederzeit zu einem anderen wechseln: Suchen und Hinzufügen gehen weiter, während alle Bilder neu gelesen werden.",
  here: "Bereit",
  active: "Aktiv",
  facts: (words, dimension) => `${words} Wörter · ${dimension} Dimensionen`,
  usedBy: (collections) => `Verwendet von ${collections.join(", ")}`,
  activate: "Aktivieren",
  activateTitle: (name) => `${name} aktivieren?`,
  activateHelp: (count) =>
    `${counted(count, "Bild wird", "Bilder werden")} neu gelesen. Suchen und Hinzufügen gehen dabei weiter, und jede Sammlung wechselt, sobald sie vollständig ist.`,
  words: (done, total) => `Wörter: ${number(done)} von ${number(total)}`,
  images: (done, total, failed) =>
    `Bilder: ${number(done)} von ${number(total)}${failed ? `, ${number(failed)} nicht lesbar` : ""}`,
  activated: (name) => `${name} ist jetzt aktiv.`,
  toFetch: "Weitere Modelle",
  download: (size) => `Download von ${size}`,
  noDownload: "Wird aus installierten Dateien gemacht, ohne Download",
  fetch: "Holen",
  again: "Noch einmal versuchen",
  making: "Wird gemacht …",
  bytes: (done, total) => `${done} von ${total}`,
  pulled: (name) => `${name} ist bereit. Aktivieren Sie es, um es zu verwenden.`,
});
