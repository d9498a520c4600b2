/** Provider `aws` whose AWS is emulated, whose instances are test hosts, and whose load balancer is HAProxy on this machine. */
import { prepareAccount } from "../providers/aws/emulated-account.ts";
import { exampleText } from "../providers/aws/emulated-cluster.ts";
import {
  type AwsEmulator,
  emulatedEnvironment,
  emulatedRegion,
  type findEmulator,
  startEmulator,
  withEnvironment,
} from "../providers/aws/emulator.ts";
import { runOnTestHost } from "./cluster-on-hosts.ts";
import { bridgeAddress } from "./host-network.ts";
import { bringUp, type HostSet, takeDown } from "./host-set.ts";
import { TargetGroupProxy } from "./target-group-proxy.ts";
import type { TestHost } from "./test-host.ts";

/** As moto names the load balancer of the example. */
const balancerName = `haplan-cloud-1.${emulatedRegion}.elb.amazonaws.com`;

export type AwsSpecOnHosts = {
  readonly masters: readonly TestHost[];
  readonly workers: readonly TestHost[];
  /** Lines of `controlPlane`. */
  readonly controlPlane?: string;
};

export class AwsOnHosts {
  readonly set: HostSet;
  readonly aws: AwsEmulator;
  readonly proxy: TargetGroupProxy;
  readonly #restore: () => void;

  private constructor(set: HostSet, aws: AwsEmulator, proxy: TargetGroupProxy, restore: () => void) {
    this.set = set;
    this.aws = aws;
    this.proxy = proxy;
    this.#restore = restore;
  }

  static async open(environment: Awaited<ReturnType<typeof findEmulator>>, hosts: number): Promise<AwsOnHosts> {
    if ("missing" in environment) throw new Error(environment.missing);
    const restore = withEnvironment(emulatedEnvironment);
    await takeDown();
    const set = await bringUp(hosts, "complete");
    const proxy = await TargetGroupProxy.create(bridgeAddress);
    const aws = await startEmulator(environment, { HAPLAN_TEST_TARGET_HEALTH: proxy.healthFile });
    await prepareAccount(aws.ec2, bridgeAddress.split(".").slice(0, 2).join("."));
    proxy.follow(aws);
    const resolve = `echo "${bridgeAddress} ${balancerName}" >> /etc/hosts`;
    await Promise.all(set.hosts.map((host) => runOnTestHost(set, host, resolve)));
    return new AwsOnHosts(set, aws, proxy, restore);
  }

  /** The example on these hosts. This machine cannot resolve the load balancer's name, and has its address in certificates. */
  specText({ masters, workers, controlPlane }: AwsSpecOnHosts): string {
    const listed = (prefix: string, hosts: readonly TestHost[]): string =>
      hosts
        .map(
          ({ ipv4, hostKey }, at) => `- { name: ${prefix}${at + 1}, address: ${ipv4}, ssh: { hostKey: ${hostKey} } }`,
        )
        .map((line) => `\n      ${line}`)
        .join("");
    return exampleText(this.aws.endpoint)
      .replace("hostKeyFrom: known_hosts", "hostKeyFrom: console")
      .replace("members: 3", `members: ${masters.length}`)
      .replace("~/.ssh/operators", this.set.keyFile)
      .replace(/allowFrom: .*/, `allowFrom: [${bridgeAddress}/32]`)
      .replace(
        / {4}masters:[\s\S]*/,
        `${controlPlane ?? `    tls: { extraNames: [${bridgeAddress}] }\n`}    masters:${listed("m", masters)}
  workers:${listed("w", workers)}
`,
      );
  }

  async close(): Promise<void> {
    await this.proxy.stop();
    await this.aws.stop();
    await takeDown();
    this.#restore();
  }
}
