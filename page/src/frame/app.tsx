// The frame of every view: header, navigation and messages.

import { isLockedOut, isLoggedIn, logOut, wantsToken } from "../api/session";
import { Box } from "../box/box";
import { LockedOut } from "../login/locked_out";
import { SearchView } from "../results/view";
import { hrefOf, openImage, type View, view } from "../state/address";
import { Help } from "./help";
import { Icon, type IconName } from "./icons";
import { Later } from "./later";
import { MessageList } from "./message_list";
import { text } from "./text";

const VIEWS: { name: View; icon: IconName }[] = [
  { name: "search", icon: "search" },
  { name: "map", icon: "map" },
  { name: "words", icon: "words" },
  { name: "add", icon: "add" },
  { name: "models", icon: "models" },
];

// Views that are not part of the first search are fetched when they are opened.
const LATER: Record<Exclude<View, "search">, () => Promise<{ default: () => preact.JSX.Element }>> = {
  map: () => import("../map/view"),
  words: () => import("../words/view"),
  add: () => import("../adding/view"),
  models: () => import("../models/view"),
};

const imageView = () => import("../image/view");
const loginView = () => import("../login/view");

export function App() {
  const name = view.value;
  return (
    <>
      <a class="skip button" href="#main">
        {text.skip}
      </a>
      <header class="header">
        <h1>
          <a class="wordmark" href="/" aria-label={text.home}>
            semsearch
          </a>
        </h1>
        <div class="box-place">
          <Box />
        </div>
        <nav aria-label={text.views}>
          <ul class="views">
            {VIEWS.map((each) => (
              <li key={each.name}>
                <a href={hrefOf(toView(each.name))} aria-current={each.name === name ? "page" : undefined}>
                  <Icon name={each.icon} />
                  <span>{text[each.name]}</span>
                </a>
              </li>
            ))}
            <li>
              <Help />
            </li>
            {isLoggedIn.value && (
              <li>
                <button type="button" class="button plain" onClick={() => void logOut()}>
                  {text.logOut}
                </button>
              </li>
            )}
          </ul>
        </nav>
      </header>
      <main class="main" id="main" tabIndex={-1}>
        {isLockedOut.value ? (
          <LockedOut />
        ) : name === "search" ? (
          <SearchView />
        ) : (
          <Later key={name} load={LATER[name]} />
        )}
      </main>
      {openImage.value !== null && !isLockedOut.value && <Later load={imageView} />}
      {wantsToken.value && <Later load={loginView} />}
      <MessageList />
    </>
  );
}

function toView(name: View): Record<string, string | null> {
  return { view: name === "search" ? null : name, image: null };
}
