/**
 * References to addresses that are known after apply, as Terraform writes them: `${haplan_machine.m1.address}`. The defaults of
 * a provider that chooses addresses put them into a spec; no file contains one.
 */
import type { Json } from "../base/json.ts";

const pattern = /\$\{(haplan_machine|haplan_load_balancer)\.([^.}]+)\.address\}/g;

/** The resource that has the address. */
export type AddressOwner = `${"haplan_machine" | "haplan_load_balancer"}.${string}`;

export function addressReference(owner: AddressOwner): string {
  return `\${${owner}.address}`;
}

/** The resources whose addresses `value` refers to. */
export function unknownAddresses(value: unknown): readonly AddressOwner[] {
  const text = JSON.stringify(value) ?? "";
  const found = [...text.matchAll(pattern)].map(([, type, name]) => `${type}.${name}` as AddressOwner);
  return [...new Set(found)];
}

/** Whether the host's address is no reference. */
export function hasKnownAddress({ address }: { readonly address: string }): boolean {
  return unknownAddresses(address).length === 0;
}

/** Replaces each reference for which `addressOf` returns an address. */
export function resolveAddresses<Value>(value: Value, addressOf: (owner: AddressOwner) => string | undefined): Value {
  if (unknownAddresses(value).length === 0) return value;
  return replaced(value as Json, addressOf) as Value;
}

function replaced(value: Json, addressOf: (owner: AddressOwner) => string | undefined): Json {
  if (typeof value === "string") {
    return value.replace(pattern, (text, type, name) => addressOf(`${type}.${name}` as AddressOwner) ?? text);
  }
  if (value === null || typeof value !== "object") return value;
  if (Array.isArray(value)) return value.map((each: Json) => replaced(each, addressOf));
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, replaced(each, addressOf)]));
}
