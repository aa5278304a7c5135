import { Layout, MapStage } from "../gen/semsearch/v1/map_service_pb";
import { counted, inLanguage, number } from "../i18n/language";

export const text = inLanguage(
  {
    title: "Map",
    map: "Map of the collection. Images that lie close together are alike.",
    keys: "Arrows move, + and − zoom, 0 shows everything, L draws around images.",
    images: (count: number) => counted(count, "image", "images"),
    hits: (count: number) => counted(count, "hit", "hits"),
    layout: (layout: Layout): string =>
      layout === Layout.NEIGHBORS ? "Similar images lie together" : "First draft, by the main differences",
    changed: (added: number, deleted: number) =>
      [added && `${number(added)} added`, deleted && `${number(deleted)} deleted`].filter(Boolean).join(", "),
    computing: (stage: MapStage): string =>
      ({
        [MapStage.UNSPECIFIED]: "Computing the map",
        [MapStage.WAITING]: "Waiting for another map",
        [MapStage.READING]: "Reading the images' vectors",
        [MapStage.NEIGHBORS]: "Finding neighbours",
        [MapStage.LAYOUT]: "Arranging the images",
        [MapStage.WORDS]: "Naming the regions",
      })[stage],
    left: (seconds: number) =>
      seconds < 60 ? `${Math.max(1, Math.round(seconds))} s left` : `${Math.round(seconds / 60)} min left`,
    cancel: "Cancel",
    again: "Compute again",
    noDrawing: "This browser cannot draw the map (WebGL 2 is off). The regions are listed below.",
    empty: "There are no images to show yet.",
    noMap: "There is no map of this collection yet. It is made when someone who may add images opens it here.",
    zoomIn: "Zoom in",
    zoomOut: "Zoom out",
    fit: "Show everything",
    lasso: "Draw around images",
    lassoHint: "Draw around images to list them.",
    regions: "Regions",
    region: (words: readonly string[]) => words.join(", ") || "Without words",
    chosen: (count: number) => `${counted(count, "image", "images")} chosen`,
    listed: "Images chosen on the map",
    selectAll: "Select all",
    clear: "Choose nothing",
  },
  {
    title: "Karte",
    map: "Karte der Sammlung. Bilder, die nah beieinander liegen, sind ähnlich.",
    keys: "Pfeile verschieben, + und − zoomen, 0 zeigt alles, L umkreist Bilder.",
    images: (count: number) => counted(count, "Bild", "Bilder"),
    hits: (count: number) => counted(count, "Treffer", "Treffer"),
    layout: (layout: Layout): string =>
      layout === Layout.NEIGHBORS
        ? "Ähnliche Bilder liegen beieinander"
        : "Erster Entwurf nach den größten Unterschieden",
    changed: (added: number, deleted: number) =>
      [added && `${number(added)} hinzugefügt`, deleted && `${number(deleted)} gelöscht`].filter(Boolean).join(", "),
    computing: (stage: MapStage): string =>
      ({
        [MapStage.UNSPECIFIED]: "Die Karte wird berechnet",
        [MapStage.WAITING]: "Zuerst wird eine andere Karte berechnet",
        [MapStage.READING]: "Die Vektoren der Bilder werden gelesen",
        [MapStage.NEIGHBORS]: "Nachbarn werden gesucht",
        [MapStage.LAYOUT]: "Die Bilder werden angeordnet",
        [MapStage.WORDS]: "Die Gegenden werden benannt",
      })[stage],
    left: (seconds: number) =>
      seconds < 60 ? `noch ${Math.max(1, Math.round(seconds))} s` : `noch ${Math.round(seconds / 60)} min`,
    cancel: "Abbrechen",
    again: "Neu berechnen",
    noDrawing: "Dieser Browser kann die Karte nicht zeichnen (WebGL 2 ist aus). Die Gegenden stehen unten.",
    empty: "Es gibt noch keine Bilder.",
    noMap:
      "Von dieser Sammlung gibt es noch keine Karte. Sie entsteht, wenn jemand, der Bilder hinzufügen darf, sie hier öffnet.",
    zoomIn: "Vergrößern",
    zoomOut: "Verkleinern",
    fit: "Alles zeigen",
    lasso: "Bilder umkreisen",
    lassoHint: "Umkreisen Sie Bilder, um sie aufzulisten.",
    regions: "Gegenden",
    region: (words: readonly string[]) => words.join(", ") || "Ohne Wörter",
    chosen: (count: number) => `${counted(count, "Bild", "Bilder")} gewählt`,
    listed: "Auf der Karte gewählte Bilder",
    selectAll: "Alle auswählen",
    clear: "Auswahl aufheben",
  },
);
