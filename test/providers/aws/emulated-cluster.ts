/** haplan's command line against the emulated account: instances are AWS's, and what runs on them is in memory. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect } from "vitest";
import { awsModel } from "../../../src/providers/aws/aws-model.ts";
import type { LoadBalancer } from "../../../src/providers/load-balancer.ts";
import { MachineCalls } from "../../../src/providers/machine-calls.ts";
import type { LoadBalancerConfig } from "../../../src/units/load-balancer-unit.ts";
import { type CliFixture, createCliFixture } from "../../support/command-line.ts";
import { awsOver } from "./local-hosts.ts";

const example = readFileSync(fileURLToPath(new URL("../../../examples/aws-3-masters.yaml", import.meta.url)), "utf8");

/** An image that moto has. */
const image = "ssm:/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64";

/** The example, for the emulated account. */
export function exampleText(endpoint: string): string {
  const more = [`endpoint: ${endpoint}`, `image: ${image}`, "hostKeyFrom: known_hosts"];
  return example.replace("    instanceType: m7i.large\n", (line) =>
    [line, ...more.map((key) => `    ${key}\n`)].join(""),
  );
}

export type EmulatedCluster = {
  readonly cli: CliFixture;
  /** Runs haplan with `cloud.yaml`. `said`: all output, in one line. */
  run(words: string): Promise<{ readonly code: number; readonly said: string }>;
  /** As `run`, of what ends with code 0: what it said. */
  succeeds(words: string): Promise<string>;
  /** AWS's names of the calls since the last look. */
  takeCalls(): readonly string[];
  /** Writes `cloud.yaml`, a changed example. */
  writeSpec(change?: (text: string) => string): void;
};

export function createEmulatedCluster(endpoint: string): EmulatedCluster {
  const cli = createCliFixture();
  cli.world.model = awsModel;
  let calls: string[] = [];
  const cluster: EmulatedCluster = {
    cli,
    run: async (words) => {
      const { code, out, err } = await cli.haplan(`${words} cloud.yaml`);
      return { code, said: (out + err).replaceAll(/[│\s]+/g, " ") };
    },
    succeeds: async (words) => {
      const { code, said } = await cluster.run(words);
      expect({ words, code, said: code === 0 ? "" : said }).toEqual({ words, code: 0, said: "" });
      return said;
    },
    takeCalls: () => {
      const taken = calls;
      calls = [];
      return taken;
    },
    writeSpec: (change = (text) => text) => writeFileSync(join(cli.cwd, "cloud.yaml"), change(exampleText(endpoint))),
  };
  cli.openProvider = async (options, inMemory) => {
    const log = (message: string, facts: { readonly [name: string]: unknown }): void => {
      if (message === "aws call") calls.push(String(facts["call"]));
    };
    const limits = { machinesAtOnce: 10, callTimeoutMs: null };
    const machineCalls = new MachineCalls({ ...options, limits });
    const provider = await awsOver(inMemory, { ...options, log, calls: machineCalls });
    cli.world.cloud = watched(provider.cloudLoadBalancer!);
    return provider;
  };
  cluster.writeSpec();
  return cluster;
}

/** Remembers what the load balancer was last told, for the world in memory. */
function watched(loadBalancer: LoadBalancer): LoadBalancer & { config: LoadBalancerConfig | null } {
  return {
    config: null,
    observe: (...given) => loadBalancer.observe(...given),
    async ensure(wanted, signal) {
      const facts = await loadBalancer.ensure(wanted, signal);
      this.config = wanted.config;
      return facts;
    },
    remove: (...given) => loadBalancer.remove(...given),
    removeVirtualAddress: (...given) => loadBalancer.removeVirtualAddress(...given),
    virtualAddress: (...given) => loadBalancer.virtualAddress(...given),
    status: (...given) => loadBalancer.status(...given),
  };
}
