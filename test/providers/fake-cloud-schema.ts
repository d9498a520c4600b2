/** The part of the spec of a provider that rents machines: unlike `local` in everything that a provider may say. */
import { findingAt } from "../../src/spec/finding.ts";
import type { ProviderSchema } from "../../src/spec/provider-schema.ts";
import type { SpecRule } from "../../src/spec/rules/rule.ts";

/** The largest machines exist in one region only. */
const checkSizes: SpecRule = ({ provider, hosts }) => {
  const region = provider?.entries["region"] ?? null;
  return hosts.flatMap(({ entries }) => {
    const size = entries["size"] ?? null;
    if (size === null || region === null || !("value" in size) || !("value" in region)) return [];
    if (size.value !== "large" || region.value === "north") return [];
    const summary = `Region ${region.value} has no machines of size large`;
    return [findingAt(size.pointer, { code: "spec/no-such-size", summary, detail: "Write small, or region north." })];
  });
};

export const fakeCloudSchema: ProviderSchema = {
  type: "fakecloud",
  description: "fakecloud: each machine is rented",
  settings: {
    region: {
      type: "string",
      enum: ["north", "south"],
      required: true,
      description: "the region, north or south",
      example: "south",
    },
    retries: { type: "integer", minimum: 0, maximum: 9, default: 4, description: "attempts after a failed call" },
  },
  hostKeys: {
    size: {
      type: "string",
      enum: ["small", "large"],
      default: "small",
      description: "the size of the machine, small or large",
      example: "large",
    },
    disk: {
      type: "object",
      default: {},
      description: "the machine's disk",
      keys: { sizeGiB: { type: "integer", minimum: 1, maximum: 1024, default: 20, description: "its size in GiB" } },
    },
  },
  loadBalancerKeys: {
    isPublic: {
      type: "boolean",
      default: false,
      description: "whether it is reached from outside",
      example: true,
    },
  },
  loadBalancerTypes: ["haproxy"],
  address: { description: "a private IP address", example: "10.0.0.1" },
  deriveMasters: null,
  hasBalancerHosts: true,
  loadBalancerAddress: null,
  rules: [checkSizes],
};
