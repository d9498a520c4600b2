/** What each provider contributes to the spec. A new provider is added here, and where it is opened. */
import type { ProviderSchema } from "../spec/provider-schema.ts";
import { localSchema } from "./local/local-schema.ts";

/** By type. The first is taken by a spec that names none. */
export const providerSchemas: { readonly local: ProviderSchema } = { local: localSchema };

export type ProviderType = keyof typeof providerSchemas;
