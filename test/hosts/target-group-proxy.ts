/**
 * The network load balancer of an emulated AWS, as far as clients see it: HAProxy on this machine, which listens as the listeners
 * say, sends connections to the healthy targets of the target group, and reports their health to the emulator.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { renameSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import {
  DescribeListenersCommand,
  DescribeLoadBalancersCommand,
  DescribeTargetGroupsCommand,
  DescribeTargetHealthCommand,
  type TargetGroup,
} from "@aws-sdk/client-elastic-load-balancing-v2";
import type { AwsEmulator } from "../providers/aws/emulator.ts";

const intervalMs = 300;
const slotCount = 8;
/** As haplan sets it, with the termination of connections. */
const deregistrationDelayMs = 20_000;

type Slot = {
  readonly target: string;
  /** Whether it has ever been healthy: until then it is `initial`. */
  hasServed: boolean;
  /** Null while it is registered. */
  freeAtMs: number | null;
};

export class TargetGroupProxy {
  /** For the emulator: see serve.py. */
  readonly healthFile: string;
  /** Each state of each target, in the order in which they were seen: `10.0.1.10:2379 healthy`. */
  readonly seen: string[] = [];
  readonly #directory: string;
  readonly #address: string;
  readonly #slots: (Slot | null)[] = Array.from({ length: slotCount }, () => null);
  #haproxy: ChildProcess | null = null;
  #following: Promise<void> = Promise.resolve();
  #isStopped = false;

  private constructor(directory: string, address: string) {
    this.#directory = directory;
    this.#address = address;
    this.healthFile = join(directory, "health.json");
    writeFileSync(this.healthFile, "{}");
  }

  /** It listens on `address`. */
  static async create(address: string): Promise<TargetGroupProxy> {
    return new TargetGroupProxy(await mkdtemp(join(tmpdir(), "haplan-target-group-")), address);
  }

  /** Follows the emulator until it is stopped. */
  follow(aws: AwsEmulator): void {
    this.#following = this.#follow(aws);
    this.#following.catch(() => undefined);
  }

  /** @throws Error that ended it before */
  async stop(): Promise<void> {
    this.#isStopped = true;
    try {
      await this.#following;
    } finally {
      this.#endHaproxy();
      await rm(this.#directory, { recursive: true });
    }
  }

  async #follow(aws: AwsEmulator): Promise<void> {
    for (; !this.#isStopped; await sleep(intervalMs)) {
      const found = await findTargets(aws);
      if (found === null || found.ports.length === 0) {
        this.#endHaproxy();
        continue;
      }
      if (this.#haproxy === null) await this.#startHaproxy(found.group, found.ports);
      await this.#setTargets(found.targets);
      await this.#reportHealth();
    }
  }

  async #startHaproxy(group: TargetGroup, ports: readonly number[]): Promise<void> {
    const file = join(this.#directory, "haproxy.cfg");
    writeFileSync(file, configurationOf(group, ports, { address: this.#address, socket: this.#socket }));
    this.#haproxy = spawn("haproxy", ["-db", "-f", file], { stdio: "ignore" });
    await sleep(1_000);
    if (this.#haproxy.exitCode !== null) throw new Error(`haproxy ended with ${this.#haproxy.exitCode}`);
  }

  #endHaproxy(): void {
    this.#haproxy?.kill("SIGKILL");
    this.#haproxy = null;
    this.#slots.fill(null);
    this.#writeHealth({});
  }

  async #setTargets(wanted: readonly string[]): Promise<void> {
    for (const target of wanted) {
      const at = this.#slots.findIndex((slot) => slot?.target === target);
      if (at >= 0 && this.#slots[at]?.freeAtMs === null) continue;
      await this.#register(target, at >= 0 ? at : this.#slots.indexOf(null));
    }
    for (const [at, slot] of this.#slots.entries()) {
      if (slot === null || wanted.includes(slot.target)) continue;
      if (slot.freeAtMs === null) {
        slot.freeAtMs = Date.now() + deregistrationDelayMs;
        await this.#ask(`set server ${serverAt(at)} state drain`);
      } else if (slot.freeAtMs < Date.now()) {
        await this.#ask(`set server ${serverAt(at)} state maint`);
        await this.#ask(`shutdown sessions server ${serverAt(at)}`);
        this.#slots[at] = null;
      }
    }
  }

  /** It gets connections once its health checks have succeeded. */
  async #register(target: string, at: number): Promise<void> {
    const [address, port] = target.split(":");
    this.#slots[at] = { target, hasServed: false, freeAtMs: null };
    await this.#ask(`set server ${serverAt(at)} addr ${address} port ${port}`);
    await this.#ask(`set server ${serverAt(at)} state ready`);
    await this.#ask(`set server ${serverAt(at)} health down`);
  }

  async #reportHealth(): Promise<void> {
    const lines = (await this.#ask("show stat targets 4 -1")).split("\n").map((line) => line.split(","));
    const isUp = new Map(lines.map(([, server = "", ...rest]) => [server, rest[15]?.startsWith("UP") === true]));
    const states: Record<string, string> = {};
    for (const [at, slot] of this.#slots.entries()) {
      if (slot === null) continue;
      const serves = isUp.get(`target${at + 1}`) === true;
      if (serves) slot.hasServed = true;
      const unhealthy = slot.hasServed ? "unhealthy" : "initial";
      states[slot.target] = slot.freeAtMs !== null ? "draining" : serves ? "healthy" : unhealthy;
    }
    this.#writeHealth(states);
  }

  readonly #last: Map<string, string> = new Map();

  #writeHealth(states: Readonly<Record<string, string>>): void {
    for (const [target, state] of Object.entries(states)) {
      if (this.#last.get(target) !== state) this.seen.push(`${target} ${state}`);
      this.#last.set(target, state);
    }
    writeFileSync(`${this.healthFile}.new`, JSON.stringify(states));
    renameSync(`${this.healthFile}.new`, this.healthFile);
  }

  get #socket(): string {
    return join(this.#directory, "haproxy.sock");
  }

  #ask(command: string): Promise<string> {
    return new Promise((resolve, reject) => {
      let answer = "";
      const socket = connect(this.#socket, () => socket.end(`${command}\n`));
      socket.setEncoding("utf8").on("data", (text) => {
        answer += text;
      });
      socket.once("end", () => resolve(answer)).once("error", reject);
    });
  }
}

function serverAt(slot: number): string {
  return `targets/target${slot + 1}`;
}

type FoundTargets = {
  readonly group: TargetGroup;
  readonly ports: readonly number[];
  readonly targets: readonly string[];
};

/** Null if there are none, or they are being deleted. */
async function findTargets(aws: AwsEmulator): Promise<FoundTargets | null> {
  try {
    const group = await targetGroup(aws);
    return group && { group, ports: await listenerPorts(aws), targets: await registeredTargets(aws, group) };
  } catch (error) {
    if (error instanceof Error && error.name.endsWith("NotFoundException")) return null;
    throw error;
  }
}

async function targetGroup({ elb }: AwsEmulator): Promise<TargetGroup | null> {
  return (await elb.send(new DescribeTargetGroupsCommand({}))).TargetGroups?.[0] ?? null;
}

async function listenerPorts({ elb }: AwsEmulator): Promise<readonly number[]> {
  const { LoadBalancers = [] } = await elb.send(new DescribeLoadBalancersCommand({}));
  const LoadBalancerArn = LoadBalancers[0]?.LoadBalancerArn;
  if (LoadBalancerArn === undefined) return [];
  const { Listeners = [] } = await elb.send(new DescribeListenersCommand({ LoadBalancerArn }));
  return Listeners.map(({ Port = 0 }) => Port);
}

async function registeredTargets({ elb }: AwsEmulator, { TargetGroupArn }: TargetGroup): Promise<readonly string[]> {
  const { TargetHealthDescriptions = [] } = await elb.send(new DescribeTargetHealthCommand({ TargetGroupArn }));
  return TargetHealthDescriptions.map(({ Target }) => `${Target?.Id}:${Target?.Port}`);
}

/** With the health checks of the target group. A target that is no longer healthy loses its connections, as behind an NLB. */
function configurationOf(
  group: TargetGroup,
  ports: readonly number[],
  { address, socket }: { readonly address: string; readonly socket: string },
): string {
  const seconds = `inter ${group.HealthCheckIntervalSeconds}s`;
  const counts = `rise ${group.HealthyThresholdCount} fall ${group.UnhealthyThresholdCount}`;
  const tls = group.HealthCheckProtocol === "HTTPS" ? "check-ssl verify none" : "";
  return `global
  stats socket ${socket} level admin
defaults
  mode tcp
  timeout connect 2s
  timeout client 350s
  timeout server 350s
  timeout check ${group.HealthCheckTimeoutSeconds}s
frontend listeners
${ports.map((port) => `  bind ${address}:${port}\n`).join("")}  default_backend targets
backend targets
  balance roundrobin
  option httpchk GET ${group.HealthCheckPath}
  default-server check port ${group.HealthCheckPort} ${seconds} ${counts} ${tls} on-marked-down shutdown-sessions
  server-template target 1-${slotCount} 192.0.2.1:1 disabled
`;
}
