// The rows of the help: what is typed, two spaces between alternatives, and what it does.

import { inLanguage } from "../i18n/language";

type Row = readonly [string, string];

interface HelpText {
  open: string;
  title: string;
  keys: string;
  keyRows: readonly Row[];
  queries: string;
  queryRows: readonly Row[];
}

const en: HelpText = {
  open: "Help",
  title: "Help",
  keys: "Keys",
  keyRows: [
    ["/", "Write in the box"],
    ["←  →  ↑  ↓", "Go to another image"],
    ["Enter", "Open the image"],
    ["x", "Select the image"],
    ["Shift ←  Shift →", "Select along the way"],
    ["Ctrl A", "Select all above the cut"],
    ["Delete", "Delete what is selected; it can be undone"],
    ["Esc", "Close, or select nothing"],
    ["?", "This help"],
  ],
  queries: "What to write",
  queryRows: [
    ["cat sofa", "Close to both"],
    ['"sports car"', "A phrase"],
    ["-dog  without dogs", "Less like it"],
    ["beach^0.5", "Counts half as much"],
    ["a picture", "Paste, drop or choose it, or press + on an image"],
  ],
};

const de: HelpText = {
  open: "Hilfe",
  title: "Hilfe",
  keys: "Tasten",
  keyRows: [
    ["/", "In das Feld schreiben"],
    ["←  →  ↑  ↓", "Zu einem anderen Bild gehen"],
    ["Enter", "Das Bild öffnen"],
    ["x", "Das Bild auswählen"],
    ["Umschalt ←  Umschalt →", "Beim Gehen auswählen"],
    ["Strg A", "Alles über der Grenze auswählen"],
    ["Entf", "Ausgewähltes löschen; das lässt sich rückgängig machen"],
    ["Esc", "Schließen, oder nichts auswählen"],
    ["?", "Diese Hilfe"],
  ],
  queries: "Was man schreiben kann",
  queryRows: [
    ["cat sofa", "Beidem nahe (das Vokabular ist englisch)"],
    ['"sports car"', "Eine Phrase"],
    ["-dog  without dogs", "Dem unähnlich"],
    ["beach^0.5", "Zählt halb so viel"],
    ["ein Bild", "Einfügen, ablegen oder wählen, oder + auf einem Bild drücken"],
  ],
};

export const help = inLanguage(en, de);
