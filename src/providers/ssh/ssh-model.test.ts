import { describe, expect, it } from "vitest";
import { desiredResources } from "../../plan/desired-resources.ts";
import { specReader } from "../spec-reader.ts";
import { sshModel } from "./ssh-model.ts";

function packagesOf(provider: string, controlPlane: string, balancer: string): Record<string, unknown> {
  const text = `apiVersion: haplan.dev/v1
kind: Cluster
metadata: { name: metal }
spec:
  provider: { type: ssh${provider} }
  controlPlane:
    ${controlPlane}
    masters:
      - { name: m1, address: 10.0.0.1 }
      - { name: m2, address: 10.0.0.2 }
      - { name: m3, address: 10.0.0.3 }
  loadBalancer: ${balancer}
`;
  const { spec, diagnostics } = specReader.parse("cluster.yaml", text);
  if (spec === null) throw new Error(JSON.stringify(diagnostics));
  const machines = desiredResources(spec, sshModel).filter(({ type }) => type === "haplan_machine");
  return Object.fromEntries(machines.map(({ name, attributes }) => [name, attributes["packages"]]));
}

const [etcd, given] = ["engine: etcd", "engine: etcd\n    etcd: { binary: /opt/etcd, version: 3.6.14 }"];
const single = "{ type: haproxy, address: 10.0.0.9 }";
const several =
  "{ type: haproxy, hosts: [{ name: m1 }, { name: lb, address: 10.0.0.9 }], vip: 10.0.0.100, ports: [2479] }";

describe("the packages of machines", () => {
  it.each([
    ["none unless they are to be installed", "", etcd, single, {}],
    ["etcd and haproxy", ", packages: install", etcd, single, { m: ["etcd"], "load-balancer": ["haproxy"] }],
    ["no etcd whose path is given", ", packages: install", given, single, { "load-balancer": ["haproxy"] }],
    [
      "keepalived with a virtual address, also on a master",
      ", packages: install",
      "engine: agent",
      several,
      { "m1-lb": ["haproxy", "keepalived"], lb: ["haproxy", "keepalived"] },
    ],
  ] as const)("are %s", (_, provider, controlPlane, balancer, expected: Record<string, readonly string[]>) => {
    const found = packagesOf(provider, controlPlane, balancer);
    for (const [name, packages] of Object.entries(found)) {
      expect([name, packages]).toEqual([name, expected[name] ?? (name.startsWith("m") ? expected["m"] : undefined)]);
    }
  });
});
