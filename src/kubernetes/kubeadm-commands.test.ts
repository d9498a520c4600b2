import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execaSync } from "execa";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findKubeadm } from "../../test/support/kubeadm.ts";
import { kubeadmCommands } from "./kubeadm-commands.ts";
import { kubeadmConfig, kubeadmPaths } from "./kubeadm-config.ts";
import { kubernetesCluster } from "./kubernetes-cluster.fixture.ts";

const spec = kubernetesCluster(3, "IPv4");
const secrets = {
  token: "abcdef.0123456789abcdef",
  caCertHashes: [`sha256:${"1a".repeat(32)}`],
  certificateKey: "2b".repeat(32),
};
const inputOf = { m2: [secrets.token, "1a".repeat(32), secrets.certificateKey], w1: [secrets.token, "1a".repeat(32)] };

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "haplan-kubeadm-"));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** The commands for a host, run by bash with its configuration, and with `program` in place of kubeadm. */
function run(host: "m2" | "w1", program: string): { readonly exitCode?: number; readonly stdout: string } {
  const path = join(directory, "kubeadm-config.yaml");
  writeFileSync(path, kubeadmConfig(spec, spec.kubernetes!, host));
  const group = kubeadmCommands(spec).find(({ hosts }) => hosts.includes(host) && hosts[0] !== "m1")!;
  const script = group.lines.join("\n").replaceAll(kubeadmPaths.config, path).replace("kubeadm join", program);
  return execaSync("bash", ["-c", script], { reject: false, input: `${inputOf[host].join("\n")}\n` });
}

describe("the commands of kubeadm for people", () => {
  it("create the cluster on the first master, and let the others join in order", () => {
    expect(kubeadmCommands(spec).map(({ hosts }) => hosts)).toEqual([["m1"], ["m1"], ["m2", "m3"], ["w1"]]);
    expect(kubeadmCommands({ ...spec, workers: [] }).map(({ hosts }) => hosts)).toEqual([["m1"], ["m1"], ["m2", "m3"]]);
  });

  it.each(["m2", "w1"] as const)("give kubeadm on %s its configuration with the secrets in their places", (host) => {
    const printed = run(host, "cat_config() { cat $2; }; cat_config").stdout;
    expect(`${printed}\n`).toBe(kubeadmConfig(spec, spec.kubernetes!, host, secrets));
  });
});

const kubeadm = findKubeadm();
describe.skipIf(kubeadm === null)(`a real kubeadm${kubeadm === null ? " (skipped: none; set KUBEADM)" : ""}`, () => {
  it.each(["m2", "w1"] as const)("accepts what the commands on %s give it", (host) => {
    expect(run(host, `${kubeadm} config validate`)).toMatchObject({ exitCode: 0, stdout: "ok" });
  });
});
