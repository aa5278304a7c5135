import { render } from "preact";
import { App } from "./frame/app";
import { followLinks } from "./frame/links";
import { language } from "./i18n/language";
import { followAddress } from "./state/search";

document.documentElement.lang = language;
followAddress();
addEventListener("click", followLinks);
const place = document.getElementById("page");
if (place) render(<App />, place);
