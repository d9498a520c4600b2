/** Creates the backend of a spec. Nothing is opened before the first read or write. */
import type { Clock } from "../base/clock.ts";
import type { ClusterSpec } from "../spec/cluster-spec.ts";
import { createEtcdBackend } from "./etcd-backend.ts";
import { createLocalBackend } from "./local-backend.ts";
import { createS3Backend } from "./s3-backend.ts";
import type { StateBackend } from "./state-backend.ts";

export type BackendOptions = {
  /** The cluster's own directory. */
  readonly directory: string;
  /** The base of relative paths in the spec. */
  readonly cwd: string;
  readonly clock: Clock;
};

export function openBackend(
  { name, state }: Pick<ClusterSpec, "name" | "state">,
  { directory, cwd, clock }: BackendOptions,
): StateBackend {
  const { backend } = state;
  switch (backend.type) {
    case "local":
      return createLocalBackend({ directory, clock });
    case "etcd":
      return createEtcdBackend({ backend, clusterName: name, cwd, clock });
    case "s3":
      return createS3Backend({ backend, clusterName: name, clock });
  }
}
