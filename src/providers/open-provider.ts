/** The one place that knows which providers there are. */
import type { Clock } from "../base/clock.ts";
import { HaplanError } from "../base/haplan-error.ts";
import type { ClusterSpec } from "../spec/cluster-spec.ts";
import { boundedProvider } from "./bounded-provider.ts";
import { createLocalProvider, localLimits } from "./local/local-provider.ts";
import { MachineCalls, type ProviderLog } from "./machine-calls.ts";
import type { Provider } from "./provider.ts";
import type { ProviderType } from "./provider-schemas.ts";

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

/** How each is opened: one that the spec knows and that cannot be opened does not compile. */
const openers: { readonly [Type in ProviderType]: (options: ProviderOptions) => Provider } = {
  local: (options) =>
    boundedProvider(
      createLocalProvider({ root: options.directory }),
      new MachineCalls({ ...options, limits: localLimits }),
    ),
};

/**
 * Opens a session with the machines of one cluster: once a run, closed at its end. It asks no machine anything: connections
 * are made by the first call that needs them, and so are heavy modules loaded.
 * @throws HaplanError `provider/unknown` for a spec of another version of haplan, such as that of a saved plan
 */
export async function openProvider(options: ProviderOptions): Promise<Provider> {
  const { type } = options.provider;
  if (!isKnown(type)) throw new HaplanError("provider/unknown", `This version of haplan has no provider ${type}`);
  return openers[type](options);
}

function isKnown(type: string): type is ProviderType {
  return Object.hasOwn(openers, type);
}
