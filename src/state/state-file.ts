/**
 * The state on disk: `.haplan/<cluster>/state.json`, private to the user, replaced atomically, with the one before it
 * kept as `state.json.backup`. What cannot be understood is refused and left as it is.
 */
import { randomUUID } from "node:crypto";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { Ajv, type ValidateFunction } from "ajv";
import { makeFolderDurably, syncFolder, writeFileDurably } from "../base/durable-file.ts";
import { errorText, HaplanError, systemErrorCode } from "../base/haplan-error.ts";
import type { State } from "../plan/state.ts";

const stateVersion = 1;

/** Where the state of a cluster lives, below the folder that haplan was started in. */
export function stateFolder(root: string, clusterName: string): string {
  return join(root, ".haplan", clusterName);
}

function stateFilePath(folder: string): string {
  return join(folder, "state.json");
}

/** A fresh identity for a cluster; asked for once in its life. */
export function newLineage(): string {
  return randomUUID();
}

export type StateStore = {
  read(): Promise<State | null>;
  write(state: State): Promise<void>;
  /** Forgets the state and the one before it. */
  remove(): Promise<void>;
};

/** The state in `folder` as a port. `beforeWrite` is called before each change and may throw to forbid it. */
export function createStateStore(options: { readonly folder: string; readonly beforeWrite: () => void }): StateStore {
  const { folder, beforeWrite } = options;
  return {
    read: async () => readState(folder),
    write: async (state) => {
      beforeWrite();
      writeState(folder, state);
    },
    remove: async () => {
      beforeWrite();
      const path = stateFilePath(folder);
      // The backup goes first: a crash in between leaves the state, not an older one.
      for (const file of [`${path}.backup`, path]) rmSync(file, { force: true });
      if (existsSync(folder)) syncFolder(folder);
    },
  };
}

/**
 * The state in `folder`, or null when there is none yet.
 * @throws HaplanError `state/unreadable`, `state/corrupted`, `state/newer-version`
 */
export function readState(folder: string): State | null {
  const path = stateFilePath(folder);
  const text = readIfThere(path);
  return text === null ? null : parseState(path, text);
}

/**
 * Makes `state` the one on disk. Writing the state that is there already does nothing.
 * @throws HaplanError `state/conflict` when what is on disk is another cluster's, or newer than `state`
 */
export function writeState(folder: string, state: State): void {
  const path = stateFilePath(folder);
  makeFolderDurably(folder);
  const text = `${JSON.stringify(state, null, 2)}\n`;
  const before = readIfThere(path);
  if (before === text) return;
  if (before !== null) {
    const onDisk = parseState(path, before);
    if (onDisk.lineage !== state.lineage) {
      throw new HaplanError(
        "state/conflict",
        `Cannot write ${path}: it has lineage ${onDisk.lineage}, not ${state.lineage}`,
      );
    }
    if (onDisk.serial >= state.serial) {
      const serials = `it has serial ${onDisk.serial}, the one to be written ${state.serial}`;
      throw new HaplanError(
        "state/conflict",
        `Cannot write ${path}: ${serials}; somebody else has written it meanwhile`,
      );
    }
    writeFileDurably(`${path}.backup`, before);
  }
  writeFileDurably(path, text);
}

function readIfThere(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return null;
    throw new HaplanError("state/unreadable", `Cannot read the state ${path}: ${errorText(error)}`, { cause: error });
  }
}

function parseState(path: string, text: string): State {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw corrupted(path, errorText(error));
  }
  const version = typeof value === "object" && value !== null && "version" in value ? value.version : undefined;
  if (typeof version === "number" && version > stateVersion) {
    const message = `The state ${path} has version ${version}; this haplan knows up to ${stateVersion}. Use the newer haplan that wrote it`;
    throw new HaplanError("state/newer-version", message);
  }
  validate ??= new Ajv({ allowUnionTypes: true }).compile(stateSchema);
  if (!validate(value)) {
    const [error] = validate.errors ?? [];
    throw corrupted(path, `${error?.instancePath || "the file"} ${error?.message}`);
  }
  return value as State;
}

function corrupted(path: string, reason: string): HaplanError {
  const advice = `It was left as it is. The one before it is ${path}.backup`;
  return new HaplanError("state/corrupted", `The state ${path} is damaged: ${reason}. ${advice}`);
}

let validate: ValidateFunction | undefined;

const names = { type: "array", items: { type: "string" } };
const stateSchema = {
  type: "object",
  additionalProperties: false,
  required: ["version", "haplanVersion", "lineage", "serial", "clusterName", "resources"],
  properties: {
    version: { const: stateVersion },
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
