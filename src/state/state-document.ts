/** Converts a state to text and back. Unknown content is an error, so that it is not overwritten. */
import type { ErrorObject, ValidateFunction } from "ajv";
import { compileSchema } from "../base/compile-schema.ts";
import { compareVersion, type FileContent, type FileFormat, upgradeContent } from "../base/file-format.ts";
import { errorText, HaplanError } from "../base/haplan-error.ts";
import { parseJson } from "../base/json-text.ts";
import type { State } from "../plan/state.ts";
import type { StateAdvice } from "./state-backend.ts";

/** A new version needs an upgrade from the one before, and an example in test/formats/examples. */
export const stateFormat: FileFormat = { current: 1, upgrades: {} };

export function renderState(state: State): string {
  return `${JSON.stringify(state, null, 2)}\n`;
}

/**
 * `place` names the source of the text, `advice` what to do if it is damaged; `headline` is the summary of that error.
 * @throws HaplanError `state/corrupted`, `state/newer-version`
 */
export function parseState(
  text: string,
  place: string,
  advice: StateAdvice,
  headline = "The state is damaged",
  format: FileFormat = stateFormat,
): State {
  const corrupted = (reason: string): HaplanError => {
    const message = `${headline}\n${place}: ${reason}.\nIt was not changed. ${advice.text}`;
    return new HaplanError("state/corrupted", message, { commands: advice.commands ?? [] });
  };
  let value: unknown;
  try {
    // Some editors save a byte order mark, which JSON does not have.
    value = parseJson(text.replace(/^\uFEFF/, ""));
  } catch (error) {
    throw corrupted(errorText(error));
  }
  const version = typeof value === "object" && value !== null && "version" in value ? value.version : undefined;
  const comparison = compareVersion(format, version);
  if (comparison === "newer") {
    const message = `The state was written by a newer haplan\n${place} has version ${version}, but this haplan supports versions up to ${format.current}. It was not changed. Use the haplan that wrote it.`;
    throw new HaplanError("state/newer-version", message);
  }
  if (comparison === "readable") value = upgradeContent(format, version as number, value as FileContent);
  validate ??= compileSchema(stateSchema, { allowUnionTypes: true });
  if (!validate(value)) {
    const [error] = validate.errors ?? [];
    if (error?.keyword === "additionalProperties") throw unknownKey(place, value, error);
    throw corrupted(`${error?.instancePath || "the file"} ${error?.message}`);
  }
  return value as State;
}

/** A newer haplan of the same format may add keys. What they say would be lost if the state was written without them. */
function unknownKey(place: string, value: unknown, { instancePath, params }: ErrorObject): HaplanError {
  const key = `${instancePath}/${String(params["additionalProperty"])}`;
  const by = (value as { readonly haplanVersion?: unknown }).haplanVersion;
  const writer = typeof by === "string" ? `haplan ${by}` : "the haplan";
  const message = `The state has a key that this haplan does not know\n${place}: ${key}. It was not changed. A newer haplan has written the key, or it was edited by hand. Use ${writer}, which wrote it; or remove the key if you added it.`;
  return new HaplanError("state/newer-version", message);
}

let validate: ValidateFunction | undefined;

const names = { type: "array", items: { type: "string" } };
const stateSchema = {
  type: "object",
  additionalProperties: false,
  required: ["version", "haplanVersion", "lineage", "serial", "clusterName", "resources"],
  properties: {
    version: { const: stateFormat.current },
    haplanVersion: { type: "string" },
    lineage: { type: "string", minLength: 1 },
    serial: { type: "integer", minimum: 0 },
    clusterName: { type: "string", minLength: 1 },
    resources: {
      type: "array",
      items: {
        type: "object",
        additionalProperties: false,
        required: ["address", "type", "name", "generation", "status", "attributes", "sensitive", "dependsOn"],
        properties: {
          address: { type: "string", minLength: 1 },
          type: { type: "string", minLength: 1 },
          name: { type: "string", minLength: 1 },
          generation: { type: "integer", minimum: 0 },
          status: { enum: ["ready", "degraded"] },
          attributes: { type: "object" },
          sensitive: names,
          dependsOn: names,
        },
      },
    },
  },
};
