// The keys of the page, and how queries are written: behind "?".

import { useSignal } from "@preact/signals";
import { Dialog } from "./dialog";
import { help } from "./help_text";
import { Icon } from "./icons";
import { useShortcuts } from "./shortcuts";

export function Help() {
  const open = useSignal(false);
  const show = () => {
    open.value = true;
  };
  useShortcuts({ "?": show });
  return (
    <>
      <button type="button" class="icon-button" aria-label={help.open} title={`${help.open} (?)`} onClick={show}>
        <Icon name="help" />
      </button>
      {open.value && (
        <Dialog
          title={help.title}
          onClose={() => {
            open.value = false;
          }}
        >
          <Table caption={help.keys} rows={help.keyRows} />
          <Table caption={help.queries} rows={help.queryRows} />
        </Dialog>
      )}
    </>
  );
}

function Table({ caption, rows }: { caption: string; rows: readonly (readonly [string, string])[] }) {
  return (
    <table class="help">
      <caption>{caption}</caption>
      <tbody>
        {rows.map(([what, does]) => (
          <tr key={what}>
            <th scope="row">
              {what.split("  ").map((each) => (
                <kbd key={each}>{each}</kbd>
              ))}
            </th>
            <td>{does}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
