/** What each call of the protocol takes and returns, as JSON Schemas. Unknown keys are let through: versions add some. */
import type { HostCallName } from "./host-calls.ts";

const text = { type: "string" };
const number = { type: "number" };
const count = { type: "integer", minimum: 0 };
const flag = { type: "boolean" };
const nothing = { type: "null" };
const orNull = (schema: { readonly type: string }): object => ({ ...schema, type: [schema.type, "null"] });
const list = (items: object): object => ({ type: "array", items });
const tuple = (...items: readonly object[]): object => ({
  type: "array",
  minItems: items.length,
  maxItems: items.length,
  ...(items.length === 0 ? {} : { items }),
});
const record = (properties: { readonly [name: string]: object }, optional: Record<string, object> = {}): object => ({
  type: "object",
  required: Object.keys(properties),
  properties: { ...properties, ...optional },
});

const identity = { name: text, address: text, zone: orNull(text), lineage: text, generation: count };
const machineRef = { anyOf: [text, record({ name: text, generation: count })] };
/** Text, or bytes that are no text. */
const content = { anyOf: [text, record({ base64: text })] };
const program = {
  anyOf: [
    record({ kind: { enum: ["haplan", "system"] }, command: text }, { version: text }),
    record({ kind: { const: "none" } }),
  ],
};
const reload = record({ signal: { enum: ["SIGHUP", "SIGUSR2", null] }, files: list(text) });
const unit = record(
  {
    name: text,
    program,
    arguments: list(text),
    environment: { type: "object", additionalProperties: text },
    files: list(record({ path: text, content, mode: count })),
    listens: list(text),
  },
  {
    reload,
    copies: list(record({ file: text, to: text })),
    watches: list(text),
    needs: list(text),
    artifact: record({ name: text, programsDir: text }),
  },
);
const task = record(
  { name: text, command: text, arguments: list(text), files: list(record({ path: text, content, mode: count })) },
  { doneWhile: text },
);
const dataCommand = record({
  program: record({ kind: { enum: ["haplan"] }, command: text }),
  arguments: list(text),
});
const readData = record({ command: dataCommand }, { programsDir: text });
const exportData = record({ command: dataCommand, id: text, file: text }, { programsDir: text });
const restoreData = record(
  {
    id: text,
    snapshot: text,
    command: record({
      programs: list(record({ kind: { enum: ["haplan", "system"] }, command: text })),
      arguments: list(text),
      environment: { type: "object", additionalProperties: text },
    }),
  },
  { programsDir: text },
);
const preflight = record({
  machines: list(record(identity)),
  units: list(record({ machine: text, unit })),
  space: list(record({ machine: text, bytes: number })),
});

const fault = {
  anyOf: [
    record({ kind: { enum: ["pause", "stop"] }, forMs: number }),
    record({ kind: { enum: ["resume", "restart"] } }),
  ],
};

const run = record({ id: text, user: text, host: text, pid: count, operation: text, createdAt: number });

export const argumentSchemas: { readonly [Call in HostCallName]: object } = {
  facts: tuple(),
  lock: tuple(run),
  observe: tuple(orNull(text), list(text)),
  observeOrphans: tuple(),
  preflight: tuple(preflight),
  installPackages: tuple(text, list(text)),
  createMachine: tuple(
    record({ ...identity, address: orNull(text) }, { beside: count, attributes: { type: "object" } }),
  ),
  renameMachine: tuple(text, text),
  destroyMachine: tuple(machineRef),
  startUnit: tuple(machineRef, unit),
  revertUnit: tuple(machineRef, text),
  stopUnit: tuple(machineRef, text, number),
  disturbUnit: tuple(machineRef, text, fault),
  restoreData: tuple(machineRef, restoreData),
  readData: tuple(machineRef, readData),
  exportData: tuple(machineRef, exportData),
  removeUnit: tuple(machineRef, text),
  unitLog: tuple(machineRef, text, count),
  readUnitFile: tuple(machineRef, text, text),
  askUnit: tuple(machineRef, text, text, text),
  answersLocally: tuple(machineRef, text, text),
  runTask: tuple(machineRef, text, task),
  startTask: tuple(machineRef, text, task),
  taskReport: tuple(machineRef, text, task),
};

const observedUnit = record(
  { name: text, running: flag, pid: orNull(count), definitionDigest: text },
  {
    changedFiles: list(text),
    formerUser: record({ runsAs: text, present: orNull(text) }),
    overrides: list(text),
    present: list(text),
    tasks: list(text),
    artifact: text,
    virtualAddress: text,
  },
);
const observedMachine = record(
  {
    name: text,
    address: text,
    lineage: text,
    generation: count,
    hasData: flag,
    units: list(observedUnit),
  },
  { freeBytes: number, hasRemains: flag },
);
const facts = record({ hostname: text, machineId: orNull(text) });

export const resultSchemas: { readonly [Call in HostCallName]: object } = {
  facts,
  lock: { anyOf: [nothing, run] },
  observe: record({
    machines: list(observedMachine),
    unreachable: list(record({ name: text, reason: text })),
  }),
  observeOrphans: list(record({ machine: text, unit: text, pid: count })),
  preflight: list(record({ severity: { enum: ["error", "warning"] }, code: text, summary: text }, { detail: text })),
  installPackages: nothing,
  createMachine: { type: "object" },
  renameMachine: nothing,
  destroyMachine: nothing,
  startUnit: record({ pid: orNull(count) }),
  revertUnit: record({ pid: orNull(count) }),
  stopUnit: nothing,
  disturbUnit: nothing,
  restoreData: nothing,
  readData: text,
  exportData: nothing,
  removeUnit: nothing,
  unitLog: text,
  readUnitFile: orNull(text),
  askUnit: orNull(text),
  answersLocally: flag,
  runTask: text,
  startTask: nothing,
  taskReport: record({ state: { enum: ["absent", "running", "done", "failed"] }, output: text }),
};

export const greetingSchema: object = record({ protocol: count, version: text, pid: count });
export const requestSchema: object = record({ id: count, call: text, arguments: list({}) });
export const answerSchema: object = {
  anyOf: [record({ id: count, result: {} }), record({ id: count, error: record({ code: text, message: text }) })],
};
