/** Where the state says that the cluster is. */
import { describe, expect, it } from "vitest";
import type { Attributes } from "../../plan/resource.ts";
import { recordedAccount, recordedRegion } from "./other-place.ts";

const machine = (attributes: Attributes) => ({ type: "haplan_machine", name: "m1", attributes }) as const;
const balancer = (arn: string) =>
  ({ type: "haplan_load_balancer", name: "load-balancer", attributes: { arn } }) as const;
const arn = "arn:aws-us-gov:elasticloadbalancing:us-gov-west-1:123456789012:loadbalancer/net/haplan-cloud/0a1b";

describe("the region and the account of a cluster", () => {
  it.each([
    ["an instance", [machine({ availability_zone: "eu-central-1a", owner_id: "1" })], "eu-central-1", "1"],
    ["an instance in a local zone", [machine({ availability_zone: "us-west-2-lax-1a" })], "us-west-2", null],
    ["a load balancer", [machine({}), balancer(arn)], "us-gov-west-1", "123456789012"],
    [
      "an instance of an earlier version",
      [machine({ availability_zone: "us-gov-west-1b" }), balancer(arn)],
      "us-gov-west-1",
      "123456789012",
    ],
    ["nothing that was created", [machine({})], null, null],
  ] as const)("are known from %s", (_, resources, region, account) => {
    expect([recordedRegion(resources), recordedAccount(resources)]).toEqual([region, account]);
  });
});
