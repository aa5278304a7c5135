import { inLanguage } from "../i18n/language";

export const text = inLanguage(
  {
    skip: "Skip to the results",
    home: "semsearch: start",
    views: "Views",
    search: "Search",
    map: "Map",
    words: "Words",
    add: "Add",
    models: "Models",
    loading: "Loading …",
    close: "Close",
    away: "The server does not answer. Trying again …",
  },
  {
    skip: "Zu den Ergebnissen springen",
    home: "semsearch: Anfang",
    views: "Ansichten",
    search: "Suche",
    map: "Karte",
    words: "Wörter",
    add: "Hinzufügen",
    models: "Modelle",
    loading: "Wird geladen …",
    close: "Schließen",
    away: "Der Server antwortet nicht. Neuer Versuch …",
  },
);
