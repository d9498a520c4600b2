/** Rebuilds the spec of a state, as far as possible: names, addresses, ports, TLS; everything else is a default. */

import type { Json } from "../base/json.ts";
import type { ClusterSpec } from "../spec/cluster-spec.ts";
import type { SpecReader } from "../spec/spec-reader.ts";
import { workerUnitName } from "../units/unit-definition.ts";
import { type ResourceType, specName } from "./resource.ts";
import type { State, StateResource } from "./state.ts";

type Host = { readonly name: string; readonly zone?: string; readonly address: string };

/** Null if the state is not enough: adopted members are reached with certificates that only the spec names. */
export function specFromState(state: State, reader: SpecReader): ClusterSpec | null {
  const of = (type: ResourceType): readonly StateResource[] => state.resources.filter((each) => each.type === type);
  if (of("haplan_raft_member").some(({ attributes }) => attributes["adopted"] === true)) return null;
  const hosts = (role: string): readonly Host[] => of("haplan_machine").flatMap((machine) => hostOf(machine, role));
  const agent = of("haplan_agent")[0] ?? of("haplan_raft_member")[0];
  const [loadBalancer] = hosts("loadBalancer");
  const ports = of("haplan_load_balancer")[0]?.attributes["ports"];
  const type = of("haplan_load_balancer")[0]?.attributes["type"];
  return reader.resolve({
    apiVersion: "haplan.dev/v1",
    kind: "Cluster",
    metadata: { name: state.clusterName },
    spec: {
      controlPlane: {
        masters: hosts("master"),
        tls: { enabled: of("haplan_ca").length + of("haplan_certificate").length > 0 },
        ...portOf("clientPort", agent?.attributes["clientUrl"]),
        ...portOf("peerPort", agent?.attributes["peerUrl"]),
      },
      workers: hosts(workerUnitName),
      loadBalancer: {
        ...(loadBalancer === undefined ? {} : { address: loadBalancer.address }),
        ...(isPorts(ports) ? { ports } : {}),
        ...(type === "haproxy" ? { type } : {}),
      },
    },
  });
}

/** Not for a deposed machine: another one has its name. */
function hostOf({ name, attributes }: StateResource, role: string): readonly Host[] {
  const { address, zone } = attributes;
  if (attributes["role"] !== role || typeof address !== "string" || name !== specName(name)) return [];
  return [{ name, address, ...(typeof zone === "string" ? { zone } : {}) }];
}

function portOf(name: "clientPort" | "peerPort", url: Json | undefined): { readonly [key: string]: number } {
  return typeof url === "string" ? { [name]: Number(new URL(url).port) } : {};
}

function isPorts(value: Json | undefined): value is readonly number[] {
  return Array.isArray(value) && value.length > 0 && value.every((port) => typeof port === "number");
}
