import { inLanguage } from "../i18n/language";

export const text = inLanguage(
  {
    title: "Log in",
    needed: "This server answers only people that it knows. Paste the token that its operator gave you.",
    token: "Token",
    logIn: "Log in",
    notAToken: "A token has no spaces and no special characters.",
    lockedOut: "Log in to see what is here",
    away: "The server does not answer. Try again in a moment.",
  },
  {
    title: "Anmelden",
    needed:
      "Dieser Server antwortet nur Personen, die er kennt. Fügen Sie das Token ein, das Sie von seinem Betreiber haben.",
    token: "Token",
    logIn: "Anmelden",
    notAToken: "Ein Token hat keine Leerzeichen und keine Sonderzeichen.",
    lockedOut: "Melden Sie sich an, um zu sehen, was hier ist",
    away: "Der Server antwortet nicht. Versuchen Sie es gleich noch einmal.",
  },
);
