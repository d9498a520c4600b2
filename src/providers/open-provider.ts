/** The one place that knows which providers there are. */
import { assertNever } from "../base/assert.ts";
import type { Clock } from "../base/clock.ts";
import type { ClusterSpec } from "../spec/cluster-spec.ts";
import { boundedProvider } from "./bounded-provider.ts";
import { createLocalProvider, localLimits } from "./local/local-provider.ts";
import { MachineCalls, type ProviderLog } from "./machine-calls.ts";
import type { Provider } from "./provider.ts";

export type ProviderOptions = {
  /** The spec's part that says which provider, and how. */
  readonly provider: ClusterSpec["provider"];
  /** The cluster's directory, `.haplan/<cluster>`. */
  readonly directory: string;
  /** Aborted when the run is to stop. */
  readonly signal: AbortSignal;
  readonly clock: Clock;
  readonly log: ProviderLog;
};

/**
 * Opens a session with the machines of one cluster: once a run, closed at its end. It asks no machine anything: connections
 * are made by the first call that needs them, and so are heavy modules loaded.
 */
export async function openProvider(options: ProviderOptions): Promise<Provider> {
  const { provider, directory } = options;
  switch (provider.type) {
    case "local": {
      const calls = new MachineCalls({ ...options, limits: localLimits });
      return boundedProvider(createLocalProvider({ root: directory }), calls);
    }
    default:
      return assertNever(provider.type);
  }
}
