/** The pure half of the fake remote provider: machines of a type, from an image, with a disk, that get an id once they are made. */
import type { ProviderModel } from "../../src/plan/provider-model.ts";
import type { Attributes } from "../../src/plan/resource.ts";
import { loadBalancerOnMachines } from "../../src/providers/load-balancer-hosts.ts";

/** The disk can grow while a machine runs; a master keeps its data with another size; another type or image is another machine. */
export function fakeRemoteModel(
  attributes: Attributes = { type: "small", image: "debian-13", diskGb: 20 },
  optional: readonly string[] = [],
): ProviderModel {
  return {
    describeMachine: (_, { role }) => ({
      attributes,
      unknown: ["instanceId"],
      optional,
      replacedBy: ["type", "image", ...(role === "master" ? [] : ["size"])],
      ...(role === "master" ? { whileStopped: { names: ["size"], renews: ["instanceId"] } } : {}),
    }),
    describeLoadBalancer: loadBalancerOnMachines,
  };
}
