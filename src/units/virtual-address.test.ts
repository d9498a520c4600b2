import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import { execaSync } from "execa";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { fixtureSpec } from "../../test/support/planned-cluster.ts";
import { renderTemplate } from "../base/render-template.ts";
import type { ClusterSpec } from "../spec/cluster-spec.ts";
import { loadBalancerBlueprint } from "./load-balancer-unit.ts";
import type { UnitBlueprint } from "./unit-blueprint.ts";
import { interfacePlaceholders } from "./unit-definition.ts";
import { healthListen, virtualAddressBlueprint } from "./virtual-address.ts";

const isInstalled = (program: string, version: string): boolean =>
  execaSync(program, [version], { reject: false }).exitCode === 0;
const haproxy = isInstalled("haproxy", "-v");
const keepalived = isInstalled("keepalived", "--version");
/** keepalived refuses the interface `lo`. */
const anInterface = Object.keys(networkInterfaces()).find((name) => name !== "lo");

const families = {
  IPv4: { address: (last: number) => `10.0.0.${last}` },
  IPv6: { address: (last: number) => `fd00::${last}` },
};

/** `masters` masters, and two load balancers with a virtual address, of which the second is on the first master's host. */
function specOf(masters: number, family: keyof typeof families): ClusterSpec {
  const { address } = families[family];
  const names = Array.from({ length: masters }, (_, at) => `m${at + 1}`);
  const spec = fixtureSpec(names);
  const readdressed = spec.controlPlane.masters.map((master, at) => ({ ...master, address: address(11 + at) }));
  const hosts = [
    { name: "lb1", zone: null, address: address(9) },
    { name: "m1-lb", zone: null, address: address(11) },
  ];
  return {
    ...spec,
    controlPlane: { ...spec.controlPlane, masters: readdressed },
    loadBalancer: {
      type: "haproxy",
      ports: [2379],
      address: address(100),
      hosts,
      virtual: { interface: null, routerId: 77 },
    },
  };
}

const targets = (spec: ClusterSpec, balancer: string): Parameters<typeof loadBalancerBlueprint>[1] => ({
  balancer,
  backends: spec.controlPlane.masters.map(({ name }) => name),
});

const rendered = ({ templates }: UnitBlueprint, path: string): string => {
  const found = templates.find((each) => each.path === path)!;
  return renderTemplate(found.template, found.values);
};

describe("the virtual address of several load balancers", () => {
  const spec = specOf(3, "IPv4");
  const config = (balancer: string): string => rendered(virtualAddressBlueprint(spec, balancer)!, "keepalived.conf");

  it("is held by keepalived on each host: peers and priorities differ, address and router are the same", () => {
    expect(config("lb1")).toMatch(/priority 254\n[\s\S]*_src_ip 10\.0\.0\.9\n[\s\S]*\{\n {8}10\.0\.0\.11\n {4}\}/);
    expect(config("m1-lb")).toMatch(/priority 244\n[\s\S]*_src_ip 10\.0\.0\.11\n[\s\S]*\{\n {8}10\.0\.0\.9\n {4}\}/);
    for (const text of [config("lb1"), config("m1-lb")]) {
      expect(text).toContain("virtual_router_id 77\n");
      expect(text).toMatch(/10\.0\.0\.100\/32 dev @INTERFACE\(10\.0\.0\.(9|11)\)@/);
    }
  });

  it("takes the interface that the spec names", () => {
    const virtual = { interface: "bond0", routerId: 77 };
    const named = { ...spec, loadBalancer: { ...spec.loadBalancer, virtual } };
    expect(rendered(virtualAddressBlueprint(named, "lb1")!, "keepalived.conf")).toContain("interface bond0\n");
  });

  it("is no affair of a load balancer with an address of its own, nor of one that is not among the hosts", () => {
    expect(virtualAddressBlueprint(fixtureSpec(["m1", "m2", "m3"]), "load-balancer")).toBeNull();
    expect(virtualAddressBlueprint(spec, "lb3")).toBeNull();
  });

  it("is bound by HAProxy without being there, and asked after at an address of the host alone", () => {
    const blueprint = loadBalancerBlueprint(spec, targets(spec, "lb1"));
    const text = rendered(blueprint, "haproxy.cfg");
    expect(text).toContain("    bind 10.0.0.100:2379 transparent\n");
    expect(text).toContain(`    bind ${healthListen(spec)}\n    monitor-uri /\n`);
    expect(healthListen(spec)).toMatch(/^127\.\d+\.\d+\.\d+:2379$/);
    expect(blueprint.definition.listens).toEqual([healthListen(spec)]);
    expect(blueprint.certificate).toBe("lb1");
  });
});

const cases = [3, 5, 7].flatMap((masters) =>
  (["IPv4", "IPv6"] as const).map((family): [number, keyof typeof families] => [masters, family]),
);

describe.each(cases)("with %i masters and %s", (masters, family) => {
  const spec = specOf(masters, family);
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "haplan-vip-"));
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  function write(blueprint: UnitBlueprint): void {
    for (const { path, template, values, mode } of blueprint.templates) {
      const text = renderTemplate(template, values).replaceAll("@UNIT@", directory);
      writeFileSync(join(directory, path), text.replace(interfacePlaceholders, anInterface ?? "lo"), { mode });
      chmodSync(join(directory, path), mode);
    }
  }

  it.skipIf(!haproxy)("HAProxy accepts its configuration", () => {
    // Certificates are another test's affair.
    const plain = { ...spec, controlPlane: { ...spec.controlPlane, tls: { enabled: false } } };
    mkdirSync(join(directory, "tls"));
    write(loadBalancerBlueprint(plain, targets(plain, "m1-lb")));
    const check = execaSync("haproxy", ["-c", "-f", join(directory, "haproxy.cfg")], { all: true, reject: false });
    expect([check.exitCode, check.all]).toEqual([0, expect.not.stringMatching(/ALERT|WARNING/)]);
  });

  it.skipIf(!keepalived || anInterface === undefined)("keepalived accepts its configuration", () => {
    const blueprint = virtualAddressBlueprint(spec, "lb1")!;
    write(blueprint);
    const given = blueprint.definition.check!.map((argument) => argument.replaceAll("@UNIT@", directory));
    const check = execaSync("keepalived", given, { all: true, reject: false });
    expect([check.exitCode, check.all]).toEqual([0, ""]);
  });
});
