/** A load balancer that a cloud runs: no unit, no machine. Its address is known once it is made. */

import { canonicalDigest } from "../../src/base/canonical-json.ts";
import { HaplanError } from "../../src/base/haplan-error.ts";
import type { LoadBalancerDescription, ProviderModel } from "../../src/plan/provider-model.ts";
import type { LoadBalancer, WantedLoadBalancer } from "../../src/providers/load-balancer.ts";
import type { LoadBalancerConfig } from "../../src/units/load-balancer-unit.ts";

export type Made = Pick<WantedLoadBalancer, "lineage" | "attributes" | "config"> & { readonly address: string };

export class FakeCloudLoadBalancer implements LoadBalancer {
  made: Made | null = null;
  /** The cloud's API does not answer. */
  unreachable = false;
  /** Its name in the DNS is known once it is made. */
  hasUnknownAddress = false;
  /** Each call that changed something. */
  readonly acts: string[] = [];
  /** How often one was made. */
  count = 0;

  /** What the fixture's machines are made of, behind a load balancer of the cloud's. */
  static model(machines: Pick<ProviderModel, "describeMachine">): ProviderModel {
    return { ...machines, describeLoadBalancer: (): LoadBalancerDescription => description };
  }

  get config(): LoadBalancerConfig | null {
    return this.made?.config ?? null;
  }

  observe: LoadBalancer["observe"] = async (lineage) => {
    if (this.unreachable) return { kind: "unreachable", reason: "the API does not answer" };
    if (this.made === null || this.made.lineage !== lineage) return { kind: "absent" };
    const { address } = this.made;
    return { kind: "present", running: true, address, definitionDigest: digestOf(this.made) };
  };

  ensure: LoadBalancer["ensure"] = async ({ lineage, attributes, config }) => {
    if (this.unreachable) throw new HaplanError("fake/no-answer", "the API does not answer");
    if (this.made === null) this.count += 1;
    const named = { address: `lb-${this.count}.cloud.example` };
    const address = this.hasUnknownAddress ? named.address : (config.listens[0]?.replace(/:\d+$/, "") ?? "");
    this.made = { lineage, attributes, config, address };
    this.acts.push(`ensure ${config.backends.map(({ name }) => name).join(",")}`);
    return {
      ...(this.hasUnknownAddress ? named : {}),
      arn: `arn:fake:${this.count}`,
      definitionDigest: digestOf(this.made),
    };
  };

  remove: LoadBalancer["remove"] = async () => {
    if (this.made !== null) this.acts.push("remove");
    this.made = null;
  };

  removeVirtualAddress: LoadBalancer["removeVirtualAddress"] = async () => undefined;
  virtualAddress: LoadBalancer["virtualAddress"] = async () => null;

  status: LoadBalancer["status"] = async () => ({
    backends: (this.made?.config.backends ?? []).map(({ name }) => ({ name, state: "ready" as const })),
  });
}

const description: LoadBalancerDescription = {
  attributes: { scheme: "internal", idleTimeoutSeconds: 350 },
  unknown: ["arn"],
  replacedBy: ["scheme"],
  hosts: [],
};

function digestOf({ attributes, config }: Made): string {
  return canonicalDigest({ attributes, backends: config.backends, listens: config.listens });
}
