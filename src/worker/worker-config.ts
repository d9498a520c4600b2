/** Reads what a worker is to do: a JSON file and the certificates that it names. */
import { readFileSync } from "node:fs";
import type { TlsMaterial } from "../apply/ports.ts";
import { compileSchema } from "../base/compile-schema.ts";
import { errorText, HaplanError } from "../base/haplan-error.ts";
import type { WorkerConfig } from "../units/worker-unit.ts";

export type LoadedWorkerConfig = { readonly config: WorkerConfig; readonly tls: TlsMaterial | null };

const schema = {
  type: "object",
  additionalProperties: false,
  required: ["name", "endpoint", "reportKey", "tls"],
  properties: {
    name: { type: "string", minLength: 1 },
    endpoint: { type: "string", pattern: "^https?://[^/]+$" },
    reportKey: { type: "string", minLength: 1 },
    tls: {
      type: "object",
      nullable: true,
      additionalProperties: false,
      required: ["caFile", "certFile", "keyFile"],
      properties: { caFile: { type: "string" }, certFile: { type: "string" }, keyFile: { type: "string" } },
    },
  },
};

const validate = compileSchema<WorkerConfig>(schema, { allErrors: true });

/** @throws HaplanError `worker/bad-config` with all that is wrong. */
export function loadWorkerConfig(path: string): LoadedWorkerConfig {
  let config: unknown;
  try {
    config = JSON.parse(read(path));
  } catch (error) {
    if (error instanceof HaplanError) throw error;
    throw new HaplanError("worker/bad-config", `"${path}" is not JSON: ${errorText(error)}`);
  }
  if (!validate(config)) {
    const mistakes = validate.errors?.map((error) => `${error.instancePath || "the whole"} ${error.message}`) ?? [];
    throw new HaplanError("worker/bad-config", `"${path}" is wrong: ${mistakes.join("; ")}`);
  }
  if (config.tls === null) return { config, tls: null };
  const { caFile, certFile, keyFile } = config.tls;
  return { config, tls: { caPem: read(caFile), certificatePem: read(certFile), keyPem: read(keyFile) } };
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new HaplanError("worker/bad-config", `Cannot read "${path}": ${errorText(error)}`, { cause: error });
  }
}
