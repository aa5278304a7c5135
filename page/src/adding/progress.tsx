// The result of each file: added, already there, or failed and why.

import { imageAddress } from "../api/images";
import { number } from "../i18n/language";
import { hrefOf } from "../state/address";
import { text } from "./text";
import { clear, counts, isSending, retry, stop, type Upload, uploads } from "./uploads";

const LISTED = 200;
const PICTURES = 24;

export function Progress() {
  const all = uploads.value;
  if (!all.length) return null;
  const { added, duplicate, failed } = counts.value;
  const done = added + duplicate + failed;
  const ofState = (state: Upload["state"]) => all.filter((upload) => upload.state === state);
  const newest = ofState("added").slice(-PICTURES).reverse();
  return (
    <section class="progress" aria-label={text.progress}>
      <progress value={done} max={all.length} aria-label={text.progress} />
      <div class="progress-line">
        <p role="status">
          {isSending.value ? text.done(done, all.length) : text.finished(added)}
          {duplicate > 0 && ` · ${text.duplicates(duplicate)}`}
          {failed > 0 && ` · ${text.failed(failed)}`}
        </p>
        {isSending.value ? (
          <button type="button" class="button" onClick={stop}>
            {text.stop}
          </button>
        ) : (
          <>
            {failed > 0 && (
              <button type="button" class="button" onClick={retry}>
                {text.retry}
              </button>
            )}
            <button type="button" class="button" onClick={clear}>
              {text.clear}
            </button>
            {added > 0 && (
              <a class="button main" href={hrefOf({ view: null, q: null, p: null })}>
                {text.show}
              </a>
            )}
          </>
        )}
      </div>
      <Files title={text.sending} uploads={ofState("sending")} isOpen />
      <Files title={text.failedTitle} uploads={ofState("failed")} isOpen />
      <Files title={text.duplicatesTitle} uploads={ofState("duplicate")} />
      {newest.length > 0 && (
        <ul class="added" aria-label={text.newest}>
          {newest.map(({ key, id, collection, file }) => (
            <li key={key}>
              <a href={hrefOf({ image: id, view: null, q: null, p: null, in: collection || null })}>
                <img src={imageAddress(collection, id, "thumbnail")} alt={file.name} decoding="async" />
              </a>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}

function Files({ title, uploads: some, isOpen = false }: { title: string; uploads: Upload[]; isOpen?: boolean }) {
  if (!some.length) return null;
  return (
    <details class="files" open={isOpen}>
      <summary>
        {title} <span class="quiet">{number(some.length)}</span>
      </summary>
      <ul>
        {some.slice(0, LISTED).map(({ key, path, problem, id, collection }) => (
          <li key={key}>
            {id ? (
              <a href={hrefOf({ image: id, view: null, q: null, p: null, in: collection || null })}>{path}</a>
            ) : (
              path
            )}
            {problem && <span class="problem">{problem}</span>}
          </li>
        ))}
      </ul>
      {some.length > LISTED && <p class="quiet">{text.andMore(some.length - LISTED)}</p>}
    </details>
  );
}
