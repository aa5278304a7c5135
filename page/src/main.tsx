import { render } from "preact";
import { takePictures } from "./box/given_pictures";
import { App } from "./frame/app";
import { followLinks } from "./frame/links";
import { listenForShortcuts } from "./frame/shortcuts";
import { language } from "./i18n/language";
import { followAddress } from "./state/search";

document.documentElement.lang = language;
followAddress();
addEventListener("click", followLinks);
listenForShortcuts();
takePictures();
const place = document.getElementById("page");
if (place) render(<App />, place);
