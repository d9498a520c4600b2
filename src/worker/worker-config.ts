/** The configuration of a worker, from its file. */
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

/** @throws HaplanError `worker/bad-config` listing all mistakes. */
export function loadWorkerConfig(path: string): LoadedProgramConfig<WorkerConfig> {
  return loadProgramConfig(path, validate, "worker/bad-config");
}
