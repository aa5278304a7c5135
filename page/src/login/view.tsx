// The dialog that asks for a token when the server wants one.

import { useSignal } from "@preact/signals";
import { logIn, refusal, wantsToken } from "../api/session";
import { Dialog } from "../frame/dialog";
import { text } from "./text";

// What a header can carry.
const TOKEN = /^[\x21-\x7e]+$/;

export default function LogIn() {
  const problem = useSignal(refusal.value);
  const busy = useSignal(false);
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const given = String(new FormData(event.currentTarget as HTMLFormElement).get("token")).trim();
    if (!TOKEN.test(given)) {
      problem.value = text.notAToken;
      return;
    }
    busy.value = true;
    problem.value = await logIn(given).catch(() => text.away);
    busy.value = false;
  };
  return (
    <Dialog
      title={text.title}
      onClose={() => {
        wantsToken.value = false;
      }}
    >
      <form class="dialog-form" onSubmit={submit}>
        <p>{text.needed}</p>
        <label>
          {text.token}
          <input class="field" type="password" name="token" autocomplete="current-password" required autofocus />
        </label>
        {problem.value && <p role="alert">{problem.value}</p>}
        <div class="dialog-buttons">
          <button type="submit" class="button" disabled={busy.value}>
            {text.logIn}
          </button>
        </div>
      </form>
    </Dialog>
  );
}
