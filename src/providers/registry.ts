/** The providers that there are: each is one entry here and one directory beside it. */
import type { Clock } from "../base/clock.ts";
import { HaplanError } from "../base/haplan-error.ts";
import type { ProviderModel } from "../plan/provider-model.ts";
import type { ClusterSpec } from "../spec/cluster-spec.ts";
import type { ProviderSchema } from "../spec/provider-schema.ts";
import { localModel } from "./local/local-model.ts";
import { localSchema } from "./local/local-schema.ts";
import type { ProviderLog } from "./machine-calls.ts";
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

type ProviderEntry = {
  /** Its contribution to the spec. */
  readonly schema: ProviderSchema;
  /** Its pure half, over which plans are made. */
  readonly model: ProviderModel;
  /** Loads its other half, which reaches machines, and creates it. `openProvider` bounds its calls. */
  readonly create: (options: ProviderOptions) => Promise<Provider>;
};

/** A spec that names no provider is for the first. */
const entries: readonly ProviderEntry[] = [
  {
    schema: localSchema,
    model: localModel,
    create: async ({ directory }) => {
      const { createLocalProvider } = await import("./local/local-provider.ts");
      return createLocalProvider({ root: directory });
    },
  },
];

export const providerSchemas: readonly ProviderSchema[] = entries.map(({ schema }) => schema);

/** @throws HaplanError `provider/unknown` for a spec of another version of haplan, such as that of a saved plan */
export function providerModel(provider: ClusterSpec["provider"]): ProviderModel {
  return entryOf(provider).model;
}

/** @throws HaplanError `provider/unknown`, as above */
export function createProvider(options: ProviderOptions): Promise<Provider> {
  return entryOf(options.provider).create(options);
}

function entryOf({ type }: ClusterSpec["provider"]): ProviderEntry {
  const entry = entries.find(({ schema }) => schema.type === type);
  if (entry === undefined) throw new HaplanError("provider/unknown", `This version of haplan has no provider ${type}`);
  return entry;
}
