/** Reads what the load balancer is to do: a JSON file, checked before anything of it is used. */
import { readFileSync } from "node:fs";
import { compileSchema } from "../base/compile-schema.ts";
import { errorText, HaplanError } from "../base/haplan-error.ts";
import type { LoadBalancerConfig } from "../units/load-balancer-unit.ts";

/** Certificates for asking health endpoints, in PEM. */
export type HealthTls = { readonly ca: string; readonly cert: string; readonly key: string };

export type LoadedConfig = { readonly config: LoadBalancerConfig; readonly tls: HealthTls | null };

const schema = {
  type: "object",
  additionalProperties: false,
  required: ["listens", "backends", "healthCheck", "tls"],
  properties: {
    listens: { type: "array", minItems: 1, items: { type: "string" } },
    backends: {
      type: "array",
      items: {
        type: "object",
        additionalProperties: false,
        required: ["name", "address", "port"],
        properties: {
          name: { type: "string", minLength: 1 },
          address: { type: "string", minLength: 1 },
          port: { type: "integer", minimum: 1, maximum: 65_535 },
        },
      },
    },
    healthCheck: {
      type: "object",
      additionalProperties: false,
      required: ["path", "intervalMs", "timeoutMs"],
      properties: {
        path: { type: "string", pattern: "^/" },
        intervalMs: { type: "integer", minimum: 50, maximum: 60_000 },
        timeoutMs: { type: "integer", minimum: 50, maximum: 60_000 },
      },
    },
    tls: {
      type: "object",
      nullable: true,
      additionalProperties: false,
      required: ["caFile", "certFile", "keyFile"],
      properties: { caFile: { type: "string" }, certFile: { type: "string" }, keyFile: { type: "string" } },
    },
  },
};

const validate = compileSchema<LoadBalancerConfig>(schema, { allErrors: true });

/** @throws HaplanError `load-balancer/bad-config` with all that is wrong. */
export function parseLoadBalancerConfig(text: string): LoadBalancerConfig {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new HaplanError("load-balancer/bad-config", `The configuration is not JSON: ${errorText(error)}`);
  }
  if (validate(value)) return value;
  const mistakes = validate.errors?.map((error) => `${error.instancePath || "the whole"} ${error.message}`) ?? [];
  throw new HaplanError("load-balancer/bad-config", `The configuration is wrong: ${mistakes.join("; ")}`);
}

/** The configuration at `path` and the certificates that it names. */
export function loadLoadBalancerConfig(path: string): LoadedConfig {
  const config = parseLoadBalancerConfig(read(path));
  if (config.tls === null) return { config, tls: null };
  const { caFile, certFile, keyFile } = config.tls;
  return { config, tls: { ca: read(caFile), cert: read(certFile), key: read(keyFile) } };
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new HaplanError("load-balancer/bad-config", `Cannot read "${path}": ${errorText(error)}`, { cause: error });
  }
}
