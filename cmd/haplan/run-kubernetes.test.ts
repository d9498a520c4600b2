/** `haplan kubernetes`, and plans of specs with Kubernetes. */
import { appendFileSync, cpSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
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
