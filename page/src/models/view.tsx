// Models: those that are ready, those that can be fetched, and the switch to another one.

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { services } from "../api/clients";
import { collections, fetchCollections } from "../api/collections";
import { useRequest } from "../api/request";
import { mayManage } from "../api/session";
import { Dialog } from "../frame/dialog";
import type { Model, Recipe } from "../gen/semsearch/v1/model_service_pb";
import { number } from "../i18n/language";
import { activate, finished, joinAgain, pull, pulls, type Run, type Switch, switching } from "./running";
import { sizeText, text } from "./text";

export default function ModelsView() {
  const asked = useRequest(
    `${finished.value}`,
    async (signal) => {
      const [{ models }, { recipes }] = await Promise.all([
        services.models.listModels({}, { signal }),
        services.models.listRecipes({}, { signal }),
        fetchCollections(),
      ]);
      return { models, recipes };
    },
    0,
  );
  useEffect(joinAgain, []);
  const { answer, problem } = asked.value;
  const known = new Set(answer?.models.map(({ id }) => id));
  const missing = answer?.recipes.filter(({ modelId }) => !known.has(modelId)) ?? [];
  return (
    <div class="models">
      <h2>{text.title}</h2>
      <p class="models-about">{text.about}</p>
      {problem && <p role="alert">{problem}</p>}
      <h3>{text.here}</h3>
      <ul class="model-list" aria-busy={!answer && !problem}>
        {answer?.models.map((model) => (
          <ModelCard key={model.id} model={model} />
        ))}
      </ul>
      {missing.length > 0 && (
        <>
          <h3>{text.toFetch}</h3>
          <ul class="model-list">
            {missing.map((recipe) => (
              <RecipeCard key={recipe.name} recipe={recipe} />
            ))}
          </ul>
        </>
      )}
    </div>
  );
}

function ModelCard({ model }: { model: Model }) {
  const isAsking = useSignal(false);
  const under = switching.value?.id === model.id ? switching.value : null;
  const isRunning = switching.value !== null && !switching.value.problem;
  const using = collections.value.filter(({ modelId }) => modelId === model.id).map(({ id }) => id);
  const images = collections.value.reduce((sum, { imageCount }) => sum + Number(imageCount), 0);
  return (
    <li class={`model${model.active ? " active" : ""}`}>
      <div class="model-head">
        <h4>{model.displayName}</h4>
        {model.active && <span class="badge">{text.active}</span>}
      </div>
      <p class="quiet">{text.facts(number(Number(model.wordCount)), model.dimension)}</p>
      {using.length > 0 && <p class="quiet">{text.usedBy(using)}</p>}
      <p class="quiet">
        <code>{model.id}</code>
      </p>
      {under && <SwitchProgress state={under} />}
      {mayManage.value && !model.active && !(under && isRunning) && (
        <button
          type="button"
          class="button"
          disabled={isRunning}
          onClick={() => {
            isAsking.value = true;
          }}
        >
          {text.activate}
        </button>
      )}
      {isAsking.value && (
        <Dialog
          title={text.activateTitle(model.displayName)}
          onClose={() => {
            isAsking.value = false;
          }}
        >
          <p>{text.activateHelp(images)}</p>
          <div class="dialog-buttons">
            <button
              type="button"
              class="button main"
              onClick={() => {
                isAsking.value = false;
                void activate(model.id);
              }}
            >
              {text.activate}
            </button>
          </div>
        </Dialog>
      )}
    </li>
  );
}

function SwitchProgress({ state: { words, images, failed, problem } }: { state: Switch }) {
  if (problem) return <p role="alert">{problem}</p>;
  const isReadingWords = words.done < words.total;
  return (
    <Bar
      run={isReadingWords ? words : images}
      label={isReadingWords ? text.words(words.done, words.total) : text.images(images.done, images.total, failed)}
    />
  );
}

function RecipeCard({ recipe: { name, displayName, modelId, downloadBytes } }: { recipe: Recipe }) {
  const run = pulls.value[name];
  const isRunning = run !== undefined && !run.problem;
  return (
    <li class="model">
      <div class="model-head">
        <h4>{displayName}</h4>
      </div>
      <p class="quiet">{downloadBytes ? text.download(sizeText(Number(downloadBytes))) : text.noDownload}</p>
      <p class="quiet">
        <code>{modelId || name}</code>
      </p>
      {run?.problem && <p role="alert">{run.problem}</p>}
      {isRunning ? (
        <Bar run={run} label={run.total ? text.bytes(sizeText(run.done), sizeText(run.total)) : text.making} />
      ) : (
        mayManage.value && (
          <button type="button" class="button" onClick={() => void pull(name)}>
            {run ? text.again : text.fetch}
          </button>
        )
      )}
    </li>
  );
}

function Bar({ run, label }: { run: Run; label: string }) {
  return (
    <div class="model-progress">
      <progress {...(run.total ? { value: run.done, max: run.total } : {})} aria-label={label} />
      <p class="quiet" role="status">
        {label}
      </p>
    </div>
  );
}
