// Shows the messages, and one while the server is away.

import { connected } from "../api/connection";
import { messages } from "./messages";
import { text } from "./text";

export function MessageList() {
  return (
    <div class="messages" role="status">
      {connected.value ? null : <p class="message away">{text.away}</p>}
      {messages.value.map(({ id, text: message, action }) => (
        <p key={id} class="message">
          <span>{message}</span>
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
