// The language of the page: English or German, whichever the browser prefers. Each room keeps its own sentences in its
// `text.ts`, both languages side by side, so that neither can be incomplete.

export type Language = "en" | "de";

function preferred(): Language {
  for (const each of navigator.languages ?? [navigator.language]) {
    const name = each.toLowerCase().split("-")[0];
    if (name === "en" || name === "de") return name;
  }
  return "en";
}

export const language: Language = preferred();

/** Return the sentences in the page's language; `de` must have all that `en` has. */
export function inLanguage<T>(en: T, de: NoInfer<T>): T {
  return language === "de" ? de : en;
}

const numbers = new Intl.NumberFormat(language);
const percents = new Intl.NumberFormat(language, { style: "percent" });
const decimals = new Intl.NumberFormat(language, { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const dates = new Intl.DateTimeFormat(language, { dateStyle: "medium" });

/** 12345 as "12,345". */
export const number = (value: number): string => numbers.format(value);
/** 0.25 as "25%". */
export const percent = (value: number): string => percents.format(value);
/** 0.8312 as "0.83". */
export const decimal = (value: number): string => decimals.format(value);
/** A date without its time. */
export const date = (value: Date): string => dates.format(value);
/** "1 image", "2 images". */
export const counted = (count: number, one: string, other: string): string =>
  `${number(count)} ${count === 1 ? one : other}`;
