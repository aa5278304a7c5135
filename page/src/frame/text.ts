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
    logOut: "Log out",
    loading: "Loading …",
    notLoaded: "This part of the page could not be loaded. The server may be away, or have been updated.",
    reload: "Load the page again",
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
    logOut: "Abmelden",
    loading: "Wird geladen …",
    notLoaded:
      "Dieser Teil der Seite konnte nicht geladen werden. Vielleicht ist der Server nicht erreichbar oder wurde aktualisiert.",
    reload: "Seite neu laden",
    close: "Schließen",
    away: "Der Server antwortet nicht. Neuer Versuch …",
  },
);
