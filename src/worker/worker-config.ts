/** What a worker is to do, as its file says. */
import { compileSchema } from "../base/compile-schema.ts";
import { certificateFilesSchema, type LoadedProgramConfig, loadProgramConfig } from "../base/program-config.ts";
import type { WorkerConfig } from "../units/worker-unit.ts";

const schema = {
  type: "object",
  additionalProperties: false,
  required: ["name", "endpoint", "reportKey", "tls"],
  properties: {
    name: { type: "string", minLength: 1 },
    endpoint: { type: "string", pattern: "^https?://[^/]+$" },
    reportKey: { type: "string", minLength: 1 },
    tls: certificateFilesSchema,
  },
};

const validate = compileSchema<WorkerConfig>(schema, { allErrors: true });

/** @throws HaplanError `worker/bad-config` with all that is wrong. */
export function loadWorkerConfig(path: string): LoadedProgramConfig<WorkerConfig> {
  return loadProgramConfig(path, validate, "worker/bad-config");
}
