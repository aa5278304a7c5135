// Shows messages, and that the server is away.

import { connected } from "../api/connection";
import { messages } from "./messages";
import { text } from "./text";

export function MessageList() {
  return (
    <div class="messages" role="status">
      {connected.value ? null : <p class="message away">{text.away}</p>}
      {messages.value.map(({ id, text: says, action }) => (
        <p key={id} class="message">
          <span>{says}</span>
          {action && (
            <button type="button" onClick={action.act}>
              {action.label}
            </button>
          )}
        </p>
      ))}
    </div>
  );
}
