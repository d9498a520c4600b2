import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { fixtureSpec } from "../../test/support/planned-cluster.ts";
import { renderTemplate } from "../base/render-template.ts";
import type { ClusterSpec } from "../spec/cluster-spec.ts";
import { bindAddress, clientUrl, clusterEndpoint, hostPort } from "./addresses.ts";
import { type AgentStart, agentBlueprint, agentConfigDigest } from "./agent-unit.ts";
import {
  type LoadBalancerConfig,
  loadBalancerBlueprint,
  loadBalancerConfigDigest,
  relayBlueprint,
} from "./load-balancer-unit.ts";
import { healthListen } from "./virtual-address.ts";
import { workerBlueprint, workerConfigDigest } from "./worker-unit.ts";

const secure = fixtureSpec(["m1", "m2", "m3"]);
const plain = fixtureSpec(["m1", "m2", "m3"], { tls: false });
const start: AgentStart = {
  clusterState: "new",
  initialCluster: [
    { name: "m1", peerUrl: "https://127.0.1.1:2380" },
    { name: "m2", peerUrl: "https://127.0.1.2:2380" },
  ],
  token: "lineage-1",
};

function withVirtualAddress(spec: ClusterSpec): ClusterSpec {
  const hosts = ["lb1", "lb2"].map((name, at) => ({ name, address: `127.0.1.${50 + at}`, zone: null }));
  const virtual = { interface: null, routerId: 7 };
  return { ...spec, loadBalancer: { ...spec.loadBalancer, hosts, virtual } };
}

function withHaproxy(spec: ClusterSpec): ClusterSpec {
  return { ...spec, loadBalancer: { ...spec.loadBalancer, type: "haproxy" } };
}

describe("agentBlueprint", () => {
  it.each([
    ["over TLS", secure, "--listen-health-urls=https://127.0.1.1:2381"],
    ["of a cluster without TLS", plain, "--listen-health-urls=http://127.0.1.1:2381"],
    ["of a real etcd", fixtureSpec(["m1"], { engine: "etcd" }), "--listen-metrics-urls=http://127.0.1.1:2381"],
  ])("A5: has a port for the health checks of a network load balancer, %s", (_, spec, flag) => {
    const behind = { ...spec, loadBalancer: { ...spec.loadBalancer, type: "nlb" as const } };
    const { definition } = agentBlueprint(behind, "m1", start);
    expect(definition.arguments.filter((given) => given.includes("2381"))).toEqual([flag]);
    expect(definition.listens).toContain("127.0.1.1:2381");
  });

  it("speaks etcd's flags, with TLS on both sides and certificates in the unit's directory", () => {
    const { definition, certificate } = agentBlueprint(secure, "m1", start);
    expect(certificate).toBe("m1");
    expect(definition.program).toEqual({ kind: "haplan", command: "haplan-agent" });
    expect(definition.listens).toEqual(["127.0.1.1:2379", "127.0.1.1:2380"]);
    expect(definition.arguments).toEqual([
      "--name=m1",
      "--data-dir=@DATA@",
      "--listen-client-urls=https://127.0.1.1:2379",
      "--advertise-client-urls=https://127.0.1.1:2379",
      "--listen-peer-urls=https://127.0.1.1:2380",
      "--initial-advertise-peer-urls=https://127.0.1.1:2380",
      "--heartbeat-interval=100",
      "--election-timeout=1000",
      "--max-learners=7",
      "--cert-file=@UNIT@/tls/tls.crt",
      "--key-file=@UNIT@/tls/tls.key",
      "--client-cert-auth=true",
      "--trusted-ca-file=@UNIT@/tls/ca.crt",
      "--peer-cert-file=@UNIT@/tls/tls.crt",
      "--peer-key-file=@UNIT@/tls/tls.key",
      "--peer-client-cert-auth=true",
      "--peer-trusted-ca-file=@UNIT@/tls/ca.crt",
      "--initial-cluster=m1=https://127.0.1.1:2380,m2=https://127.0.1.2:2380",
      "--initial-cluster-state=new",
      "--initial-cluster-token=lineage-1",
    ]);
  });

  it("carries no certificate and no TLS flag when TLS is off, and runs a real etcd when told to", () => {
    const etcd = fixtureSpec(["m1"], { tls: false, engine: "etcd" });
    const { definition, certificate } = agentBlueprint(etcd, "m1", { ...start, initialCluster: [] });
    expect(certificate).toBeNull();
    expect(definition.program).toEqual({ kind: "system", command: "etcd" });
    expect(definition.arguments.join(" ")).not.toMatch(/https|cert|ca-file/);
  });
});

describe("Configuration digests", () => {
  it("do not change with who else is a member", () => {
    const grown = fixtureSpec(["m1", "m2", "m3", "m4", "m5"]);
    expect(agentConfigDigest(grown, "m1")).toBe(agentConfigDigest(secure, "m1"));
    expect(workerConfigDigest(grown, "w1")).toBe(workerConfigDigest(secure, "w1"));
  });

  it("change with what they are made of", () => {
    const faster = { ...secure, controlPlane: { ...secure.controlPlane, heartbeatIntervalMs: 50 } };
    expect(agentConfigDigest(faster, "m1")).not.toBe(agentConfigDigest(secure, "m1"));
    const backends = ["m1", "m2", "m3"];
    const digests = [secure, plain, withHaproxy(secure)].map((spec) => loadBalancerConfigDigest(spec, { backends }));
    expect(new Set([...digests, loadBalancerConfigDigest(secure, { backends: ["m1"] })]).size).toBe(4);
  });
});

describe("Addresses", () => {
  it("put IPv6 in brackets and bind host names on every address", () => {
    expect(hostPort("fd00::1", 2379)).toBe("[fd00::1]:2379");
    expect([bindAddress("fd00::1"), bindAddress("10.0.0.1"), bindAddress("m1.example")]).toEqual([
      "fd00::1",
      "10.0.0.1",
      "0.0.0.0",
    ]);
    expect(clientUrl(plain, { address: "m1.example" })).toBe("http://m1.example:2379");
    expect(clusterEndpoint(secure)).toBe("https://127.0.1.100:2379");
  });
});

describe("workerBlueprint", () => {
  it("tells a worker the load balancer's endpoint and no master's", () => {
    const text = JSON.stringify(workerBlueprint(secure, "w1"));
    expect(text).toContain("https://127.0.1.100:2379");
    expect(text).not.toMatch(/127\.0\.1\.[123]:/);
  });
});

const env = { PATH: `${process.env["PATH"]}:/usr/sbin` };

function hasHaproxy(): boolean {
  try {
    execFileSync("haproxy", ["-v"], { env });
    return true;
  } catch {
    return false;
  }
}

describe.skipIf(!hasHaproxy())("loadBalancerBlueprint", () => {
  it.each([
    ["", withHaproxy(plain), {}],
    [", with a virtual address", withVirtualAddress(withHaproxy(plain)), {}],
    [", through a relay", withHaproxy(plain), { throughRelay: true }],
    [
      ", through a relay with a virtual address",
      withVirtualAddress(withHaproxy(plain)),
      { throughRelay: true, balancer: "lb1" },
    ],
  ] as const)("is read by a real HAProxy as it is rendered%s", (_, spec, more) => {
    const blueprint = loadBalancerBlueprint(spec, { backends: ["m1", "m2", "m3"], ...more });
    const [template] = blueprint.templates;
    const directory = mkdtempSync(join(tmpdir(), "haplan-haproxy-"));
    try {
      const file = join(directory, "haproxy.cfg");
      writeFileSync(file, renderTemplate(template!.template, template!.values).replaceAll("@UNIT@", directory));
      execFileSync("haproxy", ["-c", "-q", "-f", file], { env, stdio: "pipe" });
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});

describe("relayBlueprint", () => {
  const old = {
    backends: ["old-1"],
    formerTargets: { "old-1": "127.0.9.1:2379" },
    engine: "etcd",
    throughRelay: true,
  } as const;
  const relayed = { backends: ["m1", "m2", "m3"], throughRelay: true } as const;

  it.each([
    ["haplan's own load balancer", secure, old],
    ["HAProxy that has the targets itself", withHaproxy(secure), { backends: ["m1"] }],
  ])("14/4: there is no relay for %s", (_, spec, targets) => {
    expect(relayBlueprint(spec, targets)).toBeNull();
  });

  it("14/4: HAProxy has the same configuration whichever cluster its relay serves, also while clients wait", () => {
    const spec = withHaproxy(secure);
    const rendered = [old, relayed, { ...relayed, hold: { id: "a", forMs: 10_000 } }].map((targets) => {
      const [template] = loadBalancerBlueprint(spec, targets).templates;
      return renderTemplate(template!.template, template!.values);
    });
    expect(new Set(rendered).size).toBe(1);
    const [own] = loadBalancerBlueprint(spec, { backends: ["m1"] }).templates;
    expect(renderTemplate(own!.template, own!.values)).not.toContain("relay");
  });

  it("14/4: the relay has the targets and the hold, and listens where only HAProxy of its host reaches it", () => {
    const blueprint = relayBlueprint(withHaproxy(secure), { ...old, hold: { id: "a", forMs: 10_000 } });
    const { files, listens } = blueprint!.definition;
    const config = JSON.parse(String(files[0]!.content)) as LoadBalancerConfig;
    expect(config).toMatchObject({
      backends: [{ name: "old-1", address: "127.0.9.1", port: 2379 }],
      healthCheck: { path: "/health" },
      hold: { id: "a", forMs: 10_000 },
    });
    expect(listens).toEqual([config.listens[0], config.virtual?.healthListen]);
    expect(new Set([...listens, healthListen(secure)]).size).toBe(3);
    for (const listen of listens) expect(listen).toMatch(/^127\./);
    expect(blueprint!.certificate).toBe("load-balancer");
  });
});
