/** haplan's command line against the emulated account: instances are AWS's, and what runs on them is in memory. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { TerminateInstancesCommand } from "@aws-sdk/client-ec2";
import { afterEach, beforeEach, expect } from "vitest";
import { awsModel } from "../../../src/providers/aws/aws-model.ts";
import type { LoadBalancer } from "../../../src/providers/load-balancer.ts";
import { MachineCalls } from "../../../src/providers/machine-calls.ts";
import type { LoadBalancerConfig } from "../../../src/units/load-balancer-unit.ts";
import { type CliFixture, createCliFixture } from "../../support/command-line.ts";
import { instanceNamed, listAccount, prepareAccount } from "./emulated-account.ts";
import { type AwsEmulator, type findEmulator, useEmulator } from "./emulator.ts";
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
  /** As `run`, of what ends with code 1: what it said. */
  refuses(words: string): Promise<string>;
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
    refuses: async (words) => {
      const { code, said } = await cluster.run(words);
      expect({ words, code, said }).toMatchObject({ code: 1 });
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

/** For each test of a `describe` an account of its own, with nothing of the cluster. */
export function useEmulatedCluster(environment: Awaited<ReturnType<typeof findEmulator>>): {
  readonly aws: AwsEmulator;
  readonly cluster: EmulatedCluster;
} {
  const emulated = useEmulator(environment);
  let cluster: EmulatedCluster | undefined;
  const present = (): EmulatedCluster => {
    if (cluster === undefined) throw new Error("No test runs");
    return cluster;
  };
  beforeEach(async () => {
    await emulated.aws.reset();
    await prepareAccount(emulated.aws.ec2);
    cluster = createEmulatedCluster(emulated.aws.endpoint);
  });
  afterEach(() => present().cli.remove());
  return {
    get aws() {
      return emulated.aws;
    },
    get cluster() {
      return present();
    },
  };
}

/** As others do: its agent ends with it. */
export async function terminateInstanceOf(
  { aws, cluster }: { readonly aws: AwsEmulator; readonly cluster: EmulatedCluster },
  name: string,
): Promise<void> {
  const { InstanceId = "" } = instanceNamed(await listAccount(aws), name);
  cluster.cli.world.facts.machines.get(name)!.units.get("agent")!.running = false;
  await aws.ec2.send(new TerminateInstancesCommand({ InstanceIds: [InstanceId] }));
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
