import { inLanguage } from "../i18n/language";

export const text = inLanguage(
  {
    label: "Search by words and pictures",
    placeholder: "Words, “a phrase”, −not this, or a picture",
    choose: "Choose a picture",
    clear: "Clear",
  },
  {
    label: "Suche mit Wörtern und Bildern",
    placeholder: "Wörter, „eine Phrase“, −ohne das, oder ein Bild",
    choose: "Bild wählen",
    clear: "Leeren",
  },
);
