/**
 * The unit that stands in for a worker host: it has a client certificate and the load balancer's endpoint, nothing
 * else.
 */
import type { CertificateFiles } from "../base/program-config.ts";
import type { ClusterSpec } from "../spec/cluster-spec.ts";
import { clusterEndpoint } from "./addresses.ts";
import { blueprintDigest, type UnitBlueprint } from "./unit-blueprint.ts";
import { tlsPaths, unitDirPlaceholder, workerUnitName } from "./unit-definition.ts";

/** The configuration that a worker reads from `--config`. */
export type WorkerConfig = {
  readonly name: string;
  /** The load balancer, never a master. */
  readonly endpoint: string;
  /** The key that it reports under, with a lease. */
  readonly reportKey: string;
  readonly tls: CertificateFiles | null;
};

export function workerBlueprint(spec: ClusterSpec, name: string): UnitBlueprint {
  const tlsEnabled = spec.controlPlane.tls.enabled;
  const config: WorkerConfig = {
    name,
    endpoint: clusterEndpoint(spec),
    reportKey: `/haplan/workers/${name}`,
    tls: tlsEnabled
      ? {
          caFile: `${unitDirPlaceholder}/${tlsPaths.authority}`,
          certFile: `${unitDirPlaceholder}/${tlsPaths.certificate}`,
          keyFile: `${unitDirPlaceholder}/${tlsPaths.key}`,
        }
      : null,
  };
  return {
    definition: {
      name: workerUnitName,
      program: { kind: "haplan", command: "haplan-worker" },
      arguments: [`--config=${unitDirPlaceholder}/worker.json`],
      environment: {},
      files: [{ path: "worker.json", content: `${JSON.stringify(config, null, 2)}\n`, mode: 0o600 }],
      listens: [],
    },
    templates: [],
    certificate: tlsEnabled ? name : null,
  };
}

/** Digest over a worker's configuration. */
export function workerConfigDigest(spec: ClusterSpec, name: string): string {
  return blueprintDigest(workerBlueprint(spec, name));
}
