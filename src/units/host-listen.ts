/** Addresses for units that talk to each other on one host. */
import { createHash } from "node:crypto";
import type { ClusterSpec } from "../spec/cluster-spec.ts";
import { hostPort } from "./addresses.ts";

/**
 * `host:port` that only the host itself reaches. It is derived from the cluster, its endpoint and `use`, so that no other cluster
 * of the host listens there.
 */
export function hostListen({ name, loadBalancer }: ClusterSpec, ...use: readonly string[]): string {
  const digest = createHash("sha256").update([name, loadBalancer.address, ...use].join("\0"));
  const [a = 0, b = 0, c = 0] = digest.digest();
  return hostPort(`127.${64 + (a % 128)}.${b}.${1 + (c % 254)}`, loadBalancer.ports[0]!);
}
