/** `haplan kubernetes`, and plans of specs with Kubernetes. */
import { appendFileSync, cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { ObservedUnit } from "../../src/plan/observed-cluster.ts";
import { type CliFixture, createCliFixture, exampleSpec } from "../../test/support/command-line.ts";

let cli: CliFixture;
beforeEach(() => {
  cli = createCliFixture();
  appendFileSync(join(cli.cwd, "three.yaml"), "  kubernetes: { version: 1.35.4, podSubnet: 10.244.0.0/16 }\n");
});
afterEach(() => cli.remove());

describe("haplan kubernetes", () => {
  it("prints the commands for each host in its order", async () => {
    const { code, out } = await cli.haplan("kubernetes three.yaml");
    expect(code).toBe(0);
    expect(out.match(/^# \d.*$/gm)).toEqual(["# 1. On m1", "# 2. On m1", "# 3. On m2, m3", "# 4. On w1, w2"]);
    expect(out).toContain("kubeadm init --config /etc/kubernetes/kubeadm-config.yaml");
  });

  it("prints the configuration of a host", async () => {
    const { code, out } = await cli.haplan("kubernetes three.yaml -config m2");
    expect(code).toBe(0);
    expect(out).toContain("controlPlaneEndpoint: 127.0.1.100:6443");
    expect(out).toContain("advertiseAddress: 127.0.1.2");
  });

  it.each([
    ["an unknown host", "kubernetes three.yaml -config m9", 'There is no host "m9"'],
    ["a spec without Kubernetes", "kubernetes plain.yaml", "has no Kubernetes"],
  ])("refuses %s", async (_, line, summary) => {
    cpSync(exampleSpec, join(cli.cwd, "plain.yaml"));
    expect(await cli.haplan(line)).toMatchObject({ code: 1, err: expect.stringContaining(summary) });
  });
});

const plan = async (): Promise<string> => (await cli.haplan("plan three.yaml")).out;

describe("a plan with Kubernetes", () => {
  it("writes kubeadm's configuration on all hosts, shows what changes of it, and removes it", async () => {
    const { code, out } = await cli.haplan("apply three.yaml -auto-approve");
    expect(code).toBe(0);
    for (const host of ["m1", "m2", "m3", "w1", "w2"]) expect(out).toContain(`haplan_kubeadm_config.${host}`);
    expect(await plan()).toContain("No changes.");

    edit((text) => text.replace("podSubnet: 10.244.0.0/16", "podSubnet: 10.245.0.0/16"));
    const changed = await plan();
    expect(changed).toMatch(/~ pod_subnet\s*= "10\.244\.0\.0\/16" -> "10\.245\.0\.0\/16"/);
    expect(changed).not.toMatch(/certificate *=/);
    // Workers have no subnet in theirs.
    expect(changed.match(/write kubeadm configuration on \w+/g)?.map((step) => step.slice(-2))).toEqual([
      "m1",
      "m2",
      "m3",
    ]);
    expect((await cli.haplan("apply three.yaml -auto-approve")).code).toBe(0);
    expect(await plan()).toContain("No changes.");

    edit((text) => text.replace(/ {2}kubernetes:.*\n/, ""));
    expect((await cli.haplan("apply three.yaml -auto-approve")).code).toBe(0);
    expect((await cli.haplan("state list three.yaml")).out).not.toContain("kube");
    expect([...cli.world.facts.machines.values()].some(({ units }) => units.has("kubeadm"))).toBe(false);
    expect(await plan()).toContain("No changes.");
  });

  it("hands on a certificate that is issued again, and leaves a host with its machine", async () => {
    await cli.haplan("apply three.yaml -auto-approve");
    const { out } = await cli.haplan("plan three.yaml -replace=haplan_certificate.kube-apiserver-etcd-client");
    expect(out.match(/write kubeadm configuration on \w+/g)).toHaveLength(3);
    expect((await cli.haplan("certs rotate -ca -spec three.yaml -auto-approve")).code).toBe(0);
    expect((await cli.haplan("certs rotate -drop-old -spec three.yaml -auto-approve")).code).toBe(0);
    expect(await plan()).toContain("No changes.");
    edit((text) => text.replace(/ {4}- name: w2\n.*\n/, ""));
    expect(await plan()).toMatch(/haplan_kubeadm_config\.w2 will be destroyed/);
    expect((await cli.haplan("apply three.yaml -auto-approve")).code).toBe(0);
    expect(await plan()).toContain("No changes.");
    expect((await cli.haplan("destroy three.yaml -auto-approve")).code).toBe(0);
    expect(cli.world.facts.machines.size).toBe(0);
  });
});

describe("a cluster on whose hosts kubeadm has made nodes", () => {
  const lines = async (command: string): Promise<string> => {
    const { out, err } = await cli.haplan(command);
    return `${out}${err}`.replaceAll(/[│╷╵\s]+/g, " ");
  };

  it("is not destroyed before kubeadm has removed them, and its plans name what people have to do", async () => {
    expect((await cli.haplan("apply three.yaml -auto-approve")).code).toBe(0);
    cli.openProvider = (_, inMemory) => ({
      ...inMemory,
      observe: async (...given) => {
        const found = await inMemory.observe(...given);
        const units = (of: ObservedUnit): ObservedUnit =>
          of.name === "kubeadm" ? { ...of, present: ["/etc/kubernetes/kubelet.conf"] } : of;
        return { ...found, machines: found.machines.map((each) => ({ ...each, units: each.units.map(units) })) };
      },
    });
    const { code, err } = await cli.haplan("destroy three.yaml -auto-approve");
    expect({ code, err }).toMatchObject({
      code: 1,
      err: expect.stringContaining("Kubernetes is on m1, m2, m3, w1, w2"),
    });
    expect(cli.world.facts.machines.size).toBe(6);
    expect(await plan()).toContain("No changes.");
    edit((text) => text.replace("version: 1.35.4", "version: 1.36.1"));
    edit((text) => text.replace(/ {4}- name: w2\n.*\n/, ""));
    const shown = await lines("plan three.yaml");
    expect(shown).toContain("The API servers on m1, m2, m3 keep their present configuration");
    expect(shown).toContain("Kubernetes is still on w2");
    expect(shown).toContain("kubectl drain w2");
  });
});

describe("bootstrap", () => {
  const metal = `apiVersion: haplan.dev/v1
kind: Cluster
metadata: { name: demo }
spec:
  provider: { type: ssh }
  controlPlane:
    masters: [{ name: m1, address: 10.0.0.1 }, { name: m2, address: 10.0.0.2 }, { name: m3, address: 10.0.0.3 }]
  workers: [{ name: w1, address: 10.0.0.11 }]
  loadBalancer: { address: 10.0.0.100 }
  kubernetes: { version: 1.35.4, bootstrap: true }
`;
  const steps = (out: string): readonly string[] => out.match(/run kubeadm .*/g) ?? [];

  it("KUBE: runs kubeadm on one host after the other, once the load balancer serves the members", async () => {
    writeFileSync(join(cli.cwd, "metal.yaml"), metal);
    const { code, out } = await cli.haplan("plan metal.yaml");
    expect(code).toBe(0);
    expect(steps(out)).toEqual([
      "run kubeadm init on m1",
      "run kubeadm join on m2 (control plane)",
      "run kubeadm join on m3 (control plane)",
      "run kubeadm join on w1 (worker)",
    ]);
    type Steps = readonly { readonly id: string; readonly after: readonly string[] }[];
    const { haplan } = await cli.planDocument<{ readonly haplan: { readonly steps: Steps } }>("metal.yaml");
    const after = new Map(haplan.steps.map((step) => [step.id, step.after]));
    expect(after.get("bootstrapNode:m1")).toContainEqual(expect.stringMatching(/^startLoadBalancer/));
    expect(after.get("bootstrapNode:m1")).toContain("writeKubeadmConfig:m1");
    expect(after.get("bootstrapNode:m2")).toContain("bootstrapNode:m1");
    expect(after.get("bootstrapNode:w1")).toContain("bootstrapNode:m3");
  });

  it.each<[string, Partial<ObservedUnit>, readonly string[]]>([
    ["records a node that people have made", { present: ["/etc/kubernetes/kubelet.conf"] }, []],
    [
      "resumes one that haplan has begun",
      { present: ["/etc/kubernetes/kubelet.conf"], tasks: ["node"] },
      ["run kubeadm init on m1"],
    ],
    ["makes one where kubeadm was reset", { tasks: ["node"] }, ["run kubeadm init on m1"]],
  ])("KUBE: %s", async (_, found, expected) => {
    writeFileSync(join(cli.cwd, "metal.yaml"), metal.replace(", bootstrap: true", ""));
    expect((await cli.haplan("apply metal.yaml -auto-approve")).code).toBe(0);
    writeFileSync(join(cli.cwd, "metal.yaml"), metal);
    cli.openProvider = (_options, inMemory) => ({
      ...inMemory,
      observe: async (...given) => {
        const { machines, unreachable } = await inMemory.observe(...given);
        const onM1 = (unit: ObservedUnit): ObservedUnit => (unit.name === "kubeadm" ? { ...unit, ...found } : unit);
        const seen = machines.map((each) => (each.name === "m1" ? { ...each, units: each.units.map(onM1) } : each));
        return { machines: seen, unreachable };
      },
    });
    const planned = steps((await cli.haplan("plan metal.yaml")).out);
    expect(planned.filter((step) => step.endsWith("m1"))).toEqual(expected);
    expect(planned.slice(-3)).toEqual([
      "run kubeadm join on m2 (control plane)",
      "run kubeadm join on m3 (control plane)",
      "run kubeadm join on w1 (worker)",
    ]);
  });

  it("KUBE: is rejected for machines that are all one computer", async () => {
    edit((text) => text.replace("podSubnet: 10.244.0.0/16", "bootstrap: true"));
    const { code, err } = await cli.haplan("validate three.yaml");
    expect({ code, err }).toMatchObject({ code: 1 });
    expect(err).toContain("kubeadm cannot run on machines of provider local");
  });
});

function edit(change: (text: string) => string): void {
  const path = join(cli.cwd, "three.yaml");
  const text = readFileSync(path, "utf8");
  const changed = change(text);
  expect(changed).not.toBe(text);
  writeFileSync(path, changed);
}
