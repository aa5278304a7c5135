import { inLanguage } from "../i18n/language";

const en = {
  title: "Words and their neighbours",
  about:
    "Words and images lie in one space, and near means similar. Write a word in the box to see what is near it. A space adds words, a minus subtracts them. The model's words are English.",
  neighbours: "Nearest words",
  moreWords: "More words",
  images: "Images that lie there",
  farImages: "No image lies there. The nearest ones:",
  allImages: "All images",
  distance: "distance",
  distanceHelp: "Angular distance: 0 is the same direction, 1.41 unrelated, 2 the opposite",
  plus: (word: string) => `Add ${word}`,
  minus: (word: string) => `Subtract ${word}`,
};

export const text = inLanguage(en, {
  title: "Wörter und ihre Nachbarn",
  about:
    "Wörter und Bilder liegen in einem Raum, und nah heißt ähnlich. Schreiben Sie ein Wort in das Feld oben, um zu sehen, was darum herum liegt. Ein Leerzeichen addiert Wörter, ein Minus zieht sie ab. Die Wörter des Modells sind englisch.",
  neighbours: "Nächste Wörter",
  moreWords: "Mehr Wörter",
  images: "Bilder, die dort liegen",
  farImages: "Kein Bild liegt dort. Die nächsten:",
  allImages: "Alle Bilder",
  distance: "Abstand",
  distanceHelp: "Winkelabstand: 0 ist dieselbe Richtung, 1,41 ohne Bezug, 2 das Gegenteil",
  plus: (word) => `${word} addieren`,
  minus: (word) => `${word} abziehen`,
});
