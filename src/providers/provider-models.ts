/** The pure halves of all providers, over which plans are made; `open-provider.ts` opens the other halves. */
import { HaplanError } from "../base/haplan-error.ts";
import type { ProviderModel } from "../plan/provider-model.ts";
import type { ClusterSpec } from "../spec/cluster-spec.ts";
import { localModel } from "./local/local-model.ts";
import type { ProviderType } from "./provider-schemas.ts";

const models: { readonly [Type in ProviderType]: ProviderModel } = { local: localModel };

/** @throws HaplanError `provider/unknown` for a spec of another version of haplan, such as that of a saved plan */
export function providerModel({ type }: ClusterSpec["provider"]): ProviderModel {
  const model = Object.entries(models).find(([known]) => known === type)?.[1];
  if (model === undefined) throw new HaplanError("provider/unknown", `This version of haplan has no provider ${type}`);
  return model;
}
