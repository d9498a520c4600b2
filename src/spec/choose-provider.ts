/** Finds the provider of a document before the document is validated. */
import { pointerInto, pointerKeys, type SpecFinding } from "./finding.ts";
import type { ProviderSchema } from "./provider-schema.ts";

export type ProviderChoice = {
  /** The default provider if the document names an unknown one. */
  readonly provider: ProviderSchema;
  readonly isKnown: boolean;
};

/** The provider that `document` names, or the first of `providers`, which has at least one. */
export function chooseProvider(document: unknown, providers: readonly ProviderSchema[]): ProviderChoice {
  const [first] = providers;
  if (first === undefined) throw new Error("A spec cannot be read without any provider");
  const part = entryOf(entryOf(document, "spec"), "provider");
  const type = entryOf(part, "type");
  if (type === undefined) return { provider: first, isKnown: true };
  const named = providers.find((provider) => provider.type === type);
  return { provider: named ?? first, isKnown: named !== undefined };
}

const providerPointer = "/spec/provider";
const hostPointers = [
  ["spec", "controlPlane", "masters"],
  ["spec", "workers"],
  ["spec", "loadBalancer"],
  ["spec", "loadBalancer", "hosts"],
];

/** Reports whether the finding may be none with the provider that is meant: about a key of it, or about what it can do. */
export function mayDependOnProvider({ code, place }: SpecFinding): boolean {
  if (code === "spec/no-balancer-hosts") return true;
  if (code !== "spec/unknown-key" || !("pointer" in place)) return false;
  const keys = pointerKeys(place.pointer);
  const key = keys.at(-1) ?? "";
  if (place.pointer === pointerInto(providerPointer, key)) return true;
  return hostPointers.some((host) => {
    const isWithin = host.every((step, index) => keys[index] === step);
    const isOneOfList = /^\d+$/.test(keys[host.length] ?? "");
    return isWithin && keys.length === host.length + (isOneOfList ? 2 : 1);
  });
}

function entryOf(value: unknown, key: string): unknown {
  if (typeof value !== "object" || value === null || !Object.hasOwn(value, key)) return undefined;
  return (value as { readonly [key: string]: unknown })[key];
}
