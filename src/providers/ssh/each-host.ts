import type { MachineCalls } from "../machine-calls.ts";
import type { KnownHost } from "./host-directory.ts";

export type HostCalls = {
  /** What is called, for the limits and messages of `MachineCalls`. */
  readonly call: string;
  readonly hosts: readonly KnownHost[];
  readonly signal: AbortSignal | undefined;
  /** How much longer than others this call may take. */
  readonly waitMs?: number;
};

/** As many hosts at once as `MachineCalls` lets. Rejects as the first `work` that does. */
export async function onEachHost(
  calls: MachineCalls,
  { call, hosts, signal, waitMs = 0 }: HostCalls,
  work: (host: KnownHost, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  await Promise.all(
    hosts.map((host) =>
      calls.run({ what: `${call} ${host.target.host}`, signal, waitMs }, (given) => work(host, given)),
    ),
  );
}
