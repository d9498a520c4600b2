/** Opens a session with the machines of one cluster. */
import { boundedProvider } from "./bounded-provider.ts";
import { MachineCalls } from "./machine-calls.ts";
import type { Provider } from "./provider.ts";
import type { ProviderOptions } from "./provider-options.ts";
import { createProvider, providerLimits } from "./registry.ts";

/**
 * Opens a session: once a run, closed at its end. It asks no machine anything: connections are made by the first call that
 * needs them.
 * @throws HaplanError `provider/unknown` for a spec of another version of haplan, such as that of a saved plan
 */
export async function openProvider(options: ProviderOptions): Promise<Provider> {
  const calls = new MachineCalls({ ...options, limits: providerLimits(options.spec) });
  return boundedProvider(await createProvider({ ...options, calls }), calls);
}
