/** The one place that knows which providers there are. */
import { assertNever } from "../base/assert.ts";
import type { ClusterSpec } from "../spec/cluster-spec.ts";
import { createLocalProvider } from "./local/local-provider.ts";
import type { Provider } from "./provider.ts";

export type ProviderOptions = {
  /** The spec's part that says which provider, and how. */
  readonly provider: ClusterSpec["provider"];
  /** The cluster's directory, `.haplan/<cluster>`. */
  readonly directory: string;
};

export function openProvider({ provider, directory }: ProviderOptions): Provider {
  switch (provider.type) {
    case "local":
      return createLocalProvider({ root: directory });
    default:
      return assertNever(provider.type);
  }
}
