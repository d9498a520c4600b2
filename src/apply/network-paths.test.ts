import { describe, expect, it } from "vitest";
import { fixtureSpec } from "../../test/support/planned-cluster.ts";
import { addressReference } from "../spec/address-reference.ts";
import type { ClusterSpec } from "../spec/cluster-spec.ts";
import type { MachineHost } from "../spec/machine-hosts.ts";
import { checkRequest } from "./check-request.ts";
import { networkPaths } from "./network-paths.ts";

const balancer: MachineHost = { name: "load-balancer", address: "127.0.1.100", zone: null, role: "loadBalancer" };
const describeMachine = (): never => {
  throw new Error("no check asks for it");
};

function lines(spec: ClusterSpec, balancers: readonly MachineHost[] = [balancer]): readonly string[] {
  return networkPaths(spec, balancers).map(
    ({ from, to, address, port, severity }) => `${from ?? "here"} > ${to} ${address}:${port} ${severity}`,
  );
}

describe("the connections that a cluster needs", () => {
  it("are those between members, and those through the load balancer", () => {
    const { controlPlane, ...rest } = fixtureSpec(["m1", "m2", "m3"], { workers: 1 });
    const spec = { ...rest, controlPlane: { ...controlPlane, masters: controlPlane.masters.slice(0, 2) } };
    expect(lines(spec)).toEqual([
      "m1 > m2 127.0.1.2:2380 error",
      "m2 > m1 127.0.1.1:2380 error",
      "m1 > m2 127.0.1.2:2379 warning",
      "m2 > m1 127.0.1.1:2379 warning",
      "load-balancer > m1 127.0.1.1:2379 error",
      "load-balancer > m2 127.0.1.2:2379 error",
      "here > m1 127.0.1.1:2379 error",
      "here > m2 127.0.1.2:2379 error",
      "w1 > load-balancer 127.0.1.100:2379 error",
      "here > load-balancer 127.0.1.100:2379 warning",
    ]);
  });

  it("end at the client URL of an adopted member, and never begin there", () => {
    const { controlPlane, ...rest } = fixtureSpec(["m1", "m2", "m3"], { workers: 0 });
    const [first, ...others] = controlPlane.masters;
    const adopted = { ...first!, adoptedAt: "https://[fd97::1]:4001" };
    const found = lines({ ...rest, controlPlane: { ...controlPlane, masters: [adopted, ...others] } });
    expect(found.filter((line) => line.includes("m1"))).toEqual([
      "m2 > m1 fd97::1:4001 warning",
      "m3 > m1 fd97::1:4001 warning",
      "load-balancer > m1 fd97::1:4001 error",
      "here > m1 fd97::1:4001 error",
    ]);
  });

  it("lead from the load balancer to the port where an etcd serves HTTP as well", () => {
    const { controlPlane, ...rest } = fixtureSpec(["m1", "m2", "m3"], { workers: 0, engine: "etcd" });
    const etcd = { binary: "/opt/etcd", version: "3.6.14", httpPort: 2383 };
    const found = lines({ ...rest, controlPlane: { ...controlPlane, etcd } });
    expect(found.filter((line) => line.includes(":2383"))).toEqual([
      "load-balancer > m1 127.0.1.1:2383 error",
      "load-balancer > m2 127.0.1.2:2383 error",
      "load-balancer > m3 127.0.1.3:2383 error",
    ]);
  });

  it("are those of API servers and kubelets as well with Kubernetes", () => {
    const { controlPlane, ...rest } = fixtureSpec(["m1", "m2", "m3"], { workers: 1 });
    const kubernetes = {
      version: "1.34.2",
      clusterName: "demo",
      apiServerPort: 6443,
      endpointPort: 8443,
      podSubnet: null,
      criSocket: null,
      serviceSubnet: "10.96.0.0/12",
      dnsDomain: "cluster.local",
      certSANs: [],
      bootstrap: false,
    };
    const spec = { ...rest, kubernetes, controlPlane: { ...controlPlane, masters: controlPlane.masters.slice(0, 1) } };
    expect(lines(spec).filter((line) => /:[68]443/.test(line))).toEqual([
      "load-balancer > m1 127.0.1.1:6443 error",
      "m1 > load-balancer 127.0.1.100:8443 error",
      "w1 > load-balancer 127.0.1.100:8443 error",
    ]);
  });

  it("leave out addresses that are not known yet, and a load balancer that a cloud runs", () => {
    const { controlPlane, ...rest } = fixtureSpec(["m1", "m2", "m3"], { workers: 1 });
    const masters = controlPlane.masters.map((master) => ({
      ...master,
      address: master.name === "m3" ? addressReference("haplan_machine.m3") : master.address,
    }));
    const found = lines({ ...rest, controlPlane: { ...controlPlane, masters } }, []);
    expect(found.filter((line) => line.includes("> m3") || line.includes("w1"))).toEqual([]);
    expect(found).toContain("m3 > m1 127.0.1.1:2380 error");
  });
});

describe("what a spec asks to be checked", () => {
  const spec = fixtureSpec(["m1", "m2", "m3"], { workers: 1 });
  const model = {
    describeMachine,
    describeLoadBalancer: () => ({ attributes: {}, unknown: [], replacedBy: [], hosts: [balancer] }),
  };

  it("is every machine with its units, and space for members that are new", () => {
    const { machines, units, space, certificateAgeMs } = checkRequest(spec, null, model);
    expect(machines.map(({ name }) => name)).toEqual(["m1", "m2", "m3", "load-balancer", "w1"]);
    expect(units.map(({ machine, unit }) => `${machine} ${unit.name} ${unit.listens.join(" ")}`)).toEqual([
      "m1 agent 127.0.1.1:2379 127.0.1.1:2380",
      "m2 agent 127.0.1.2:2379 127.0.1.2:2380",
      "m3 agent 127.0.1.3:2379 127.0.1.3:2380",
      "load-balancer load-balancer 127.0.1.100:2379",
      "w1 worker ",
    ]);
    expect(space.map(({ machine }) => machine)).toEqual(["m1", "m2", "m3"]);
    expect(certificateAgeMs).toBe(3_600_000);
  });
});
