/** Each machine has an address of its own; with provider local it is one of this computer's loopback addresses. */
import { isIPv4 } from "node:net";
import type { Draft } from "../draft.ts";
import { findingAt, pointerForPeople, type SpecFinding } from "../finding.ts";
import type { SpecRule } from "./rule.ts";

export const checkAddresses: SpecRule = ({ hosts }) => {
  const taken = new Map<string, { readonly kind: string; readonly address: Draft<string> }>();
  return hosts.flatMap(({ kind, address }) => {
    if (address === null || address.value === "") return [];
    const malformed = checkLoopback(address);
    if (malformed !== null) return [malformed];
    const other = taken.get(address.value);
    taken.set(address.value, other ?? { kind, address });
    return other === undefined ? [] : [duplicate(address, other)];
  });
};

function checkLoopback(address: Draft<string>): SpecFinding | null {
  if (isIPv4(address.value) && address.value.startsWith("127.") && address.value !== "127.255.255.255") return null;
  const port = /^[^:]+:\d+$/.test(address.value);
  return findingAt(address.pointer, {
    code: "spec/bad-address",
    summary: `${JSON.stringify(address.value)} is not an address that provider local can use`,
    detail: port
      ? "Write the address without its port; ports are set by clientPort, peerPort and loadBalancer.ports."
      : "Provider local runs every machine on this computer, each on a loopback address of its own. Write one of 127.0.0.0/8, such as 127.0.1.1.",
  });
}

function duplicate(
  address: Draft<string>,
  other: { readonly kind: string; readonly address: Draft<string> },
): SpecFinding {
  return findingAt(address.pointer, {
    code: "spec/duplicate-address",
    summary: `The address ${address.value} is already used by the ${other.kind} at ${pointerForPeople(other.address.pointer)}`,
    detail: "Two machines cannot share an address: give each one of its own.",
  });
}
