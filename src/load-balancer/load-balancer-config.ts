/** The configuration of the load balancer, from its file. */
import { compileSchema } from "../base/compile-schema.ts";
import { certificateFilesSchema, type LoadedProgramConfig, loadProgramConfig } from "../base/program-config.ts";
import type { LoadBalancerConfig } from "../units/load-balancer-unit.ts";

export type LoadedLoadBalancerConfig = LoadedProgramConfig<LoadBalancerConfig>;

const listens = { type: "array", minItems: 1, items: { type: "string" } };

const backends = {
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
};

const healthCheck = {
  type: "object",
  additionalProperties: false,
  required: ["path", "intervalMs", "timeoutMs"],
  properties: {
    path: { type: "string", pattern: "^/" },
    intervalMs: { type: "integer", minimum: 50, maximum: 60_000 },
    timeoutMs: { type: "integer", minimum: 50, maximum: 60_000 },
    port: { type: "integer", minimum: 1, maximum: 65_535 },
  },
};

const apiServers = {
  type: "object",
  additionalProperties: false,
  required: ["listens", "backends", "healthCheck"],
  properties: { listens, backends, healthCheck },
};

const hold = {
  type: "object",
  additionalProperties: false,
  required: ["id", "forMs"],
  properties: { id: { type: "string", minLength: 1 }, forMs: { type: "integer", minimum: 1, maximum: 60_000 } },
};

const virtual = {
  type: "object",
  additionalProperties: false,
  required: ["healthListen"],
  properties: { healthListen: { type: "string", pattern: ":\\d+$" } },
};

const schema = {
  type: "object",
  additionalProperties: false,
  required: ["listens", "backends", "healthCheck", "tls"],
  properties: { listens, backends, healthCheck, tls: certificateFilesSchema, apiServers, virtual, hold },
};

const validate = compileSchema<LoadBalancerConfig>(schema, { allErrors: true });

/** @throws HaplanError `load-balancer/bad-config` listing all mistakes. */
export function loadLoadBalancerConfig(path: string): LoadedLoadBalancerConfig {
  return loadProgramConfig(path, validate, "load-balancer/bad-config");
}
