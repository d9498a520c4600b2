/**
 * Addresses that are known only once what has them is made: in their place stands a reference, written as Terraform writes
 * one: `${haplan_machine.m1.address}`. A provider's defaults put it there; it is never in a file.
 */
import type { Json } from "../base/json.ts";

const pattern = /\$\{(haplan_machine|haplan_load_balancer)\.([^.}]+)\.address\}/g;

/** The resource that has the address. */
export type AddressOwner = `${"haplan_machine" | "haplan_load_balancer"}.${string}`;

export function lateAddress(owner: AddressOwner): string {
  return `\${${owner}.address}`;
}

/** Owners of all addresses that `value` waits for. */
export function addressesAwaited(value: unknown): readonly AddressOwner[] {
  const text = JSON.stringify(value) ?? "";
  const found = [...text.matchAll(pattern)].map(([, type, name]) => `${type}.${name}` as AddressOwner);
  return [...new Set(found)];
}

/** Whether the host's address is known by now. */
export function hasAddress({ address }: { readonly address: string }): boolean {
  return addressesAwaited(address).length === 0;
}

/** `value` with each address that `addressOf` knows in the place of its reference. */
export function withAddresses<Value>(value: Value, addressOf: (owner: AddressOwner) => string | undefined): Value {
  if (addressesAwaited(value).length === 0) return value;
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
