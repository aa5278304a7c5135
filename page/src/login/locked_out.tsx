// What is on the page as long as the server wants a token.

import { wantsToken } from "../api/session";
import { text } from "./text";

export function LockedOut() {
  return (
    <div class="empty">
      <h2>{text.lockedOut}</h2>
      <button
        type="button"
        class="button main"
        onClick={() => {
          wantsToken.value = true;
        }}
      >
        {text.logIn}
      </button>
    </div>
  );
}
