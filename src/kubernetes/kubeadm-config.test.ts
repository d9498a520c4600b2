import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { execaSync } from "execa";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findKubeadm } from "../../test/support/kubeadm.ts";
import { specReader } from "../providers/spec-reader.ts";
import type { ClusterSpec } from "../spec/cluster-spec.ts";
import { kubeadmConfig } from "./kubeadm-config.ts";
import { type Addresses, kubernetesCluster } from "./kubernetes-cluster.fixture.ts";

const configOf = (spec: ClusterSpec, host: string): string => kubeadmConfig(spec, spec.kubernetes!, host);
const clusters = ([3, 5, 7] as const).flatMap((masters) =>
  (["IPv4", "IPv6", "names"] as const satisfies readonly Addresses[]).map((addresses) => [masters, addresses] as const),
);

describe("kubeadm's configuration", () => {
  it.each([
    [3, "IPv4", "m1"],
    [3, "IPv4", "w1"],
    [5, "IPv6", "m2"],
    [7, "names", "m7"],
    [7, "names", "w1"],
  ] as const)("of a cluster of %i masters with %s, host %s, is as in testdata", async (masters, addresses, host) => {
    const path = `testdata/${masters}-${addresses.toLowerCase()}-${host}.yaml`;
    await expect(configOf(kubernetesCluster(masters, addresses), host)).toMatchFileSnapshot(path);
  });

  it("of the example has the load balancer as its endpoint", () => {
    const example = fileURLToPath(new URL("../../examples/kubernetes-3-masters.yaml", import.meta.url));
    const { spec, diagnostics } = specReader.load(example);
    expect(diagnostics).toEqual([]);
    expect(configOf(spec!, "m2")).toContain("controlPlaneEndpoint: 10.0.0.10:6443\n");
  });

  it("has no files of etcd's certificates without TLS", () => {
    const text = configOf(kubernetesCluster(3, "IPv4", false), "m1");
    expect(text).toContain("- http://10.0.0.1:2379");
    expect(text).not.toMatch(/(ca|cert|key)File/);
  });

  it("contains the secrets of a join in their places", () => {
    const spec = kubernetesCluster(3, "IPv4");
    const secrets = { token: "abcdef.0123456789abcdef", caCertHashes: ["sha256:1"], certificateKey: "1".repeat(64) };
    const text = kubeadmConfig(spec, spec.kubernetes!, "m2", secrets);
    expect(text).toContain("token: abcdef.0123456789abcdef");
    expect(text).toContain("- sha256:1\n");
    // Digits alone are a number in YAML.
    expect(text).toContain(`certificateKey: "${"1".repeat(64)}"`);
  });
});

const kubeadm = findKubeadm();
const reason = kubeadm === null ? " (skipped: no kubeadm; set KUBEADM to its path)" : "";

describe.skipIf(kubeadm === null)(`a real kubeadm${reason}`, () => {
  let directory: string;
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), "haplan-kubeadm-"));
  });
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  /** `ok`, or what is wrong. kubeadm also warns of documents that are for another of its commands. */
  function validate(text: string): string {
    const path = join(directory, "kubeadm-config.yaml");
    writeFileSync(path, text);
    const { exitCode, stdout, stderr } = execaSync(kubeadm!, ["config", "validate", "--config", path], {
      reject: false,
    });
    return exitCode === 0 && !stderr.includes("unknown field") ? stdout.trim() : stderr;
  }

  it.each(clusters)("accepts the configuration of %i masters with %s", (masters, addresses) => {
    const spec = kubernetesCluster(masters, addresses);
    for (const host of ["m1", `m${masters}`, "w1"]) expect(validate(configOf(spec, host)), host).toBe("ok");
  });

  it("finds an unknown key, so that the answers above mean something", () => {
    const text = configOf(kubernetesCluster(3, "IPv4"), "m1");
    expect(validate(text.replace("clusterName:", "clusterNames:"))).toContain('unknown field "clusterNames"');
  });
});
