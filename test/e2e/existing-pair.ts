/** Two members that haplan has nothing to do with: two real etcds, or two agents, started as people start them. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdirSync, openSync } from "node:fs";
import { join } from "node:path";
import { EtcdClient } from "../../src/etcd-client/etcd-client.ts";
import { type ClientOptions, connect } from "../../src/etcd-client/grpc-client.ts";
import { addressOf, buildDir, kill, until } from "./cluster-fixture.ts";
import { isInstalled } from "./run-program.ts";

export type Engine = "etcd" | "agent";

export const engines: readonly { readonly engine: Engine; readonly missing: boolean }[] = [
  { engine: "etcd", missing: !isInstalled("etcd", "--version") },
  { engine: "agent", missing: false },
];

/** All hosts of one pair and of what is added to it: `127.77.<network>.<first>` and up. */
export type PairPlace = { readonly network: number; readonly first: number };

export const hostOf = ({ network, first }: PairPlace, index: number): string => addressOf(network, first + index);
export const endpointOf = (place: PairPlace, index: number): string => `http://${hostOf(place, index)}:2379`;

/** For members that use TLS with their clients and their peers. */
export type PairTls = {
  readonly flags: readonly string[];
  readonly client: NonNullable<ClientOptions["tls"]>;
};

export type PairOptions = {
  readonly tls?: PairTls;
  /** Further flags of both. */
  readonly flags?: readonly string[];
};

/** etcd accepts no new member before its members have been up for five seconds: for tests of other things. */
export const youngPair: PairOptions = { flags: ["--strict-reconfig-check=false"] };

export class ExistingPair {
  readonly place: PairPlace;
  readonly #tls: PairTls | null;
  readonly #flags: readonly string[];
  readonly processes: ChildProcess[] = [];
  readonly #endAtExit = (): void => {
    for (const { pid } of this.processes) if (pid !== undefined) kill(pid, "SIGKILL");
  };

  private constructor(place: PairPlace, { tls, flags = [] }: PairOptions) {
    this.place = place;
    this.#tls = tls ?? null;
    this.#flags = [...flags, ...(tls?.flags ?? [])];
    process.once("exit", this.#endAtExit);
  }

  /** Names differ from those that the spec gives them, as they will. Returns once both take writes. */
  static async start(
    engine: Engine,
    place: PairPlace,
    directory: string,
    options: PairOptions = {},
  ): Promise<ExistingPair> {
    const pair = new ExistingPair(place, options);
    const tls = options.tls === undefined ? {} : { tls: options.tls.client };
    for (const index of [0, 1]) pair.#startMember(engine, index, directory);
    await until(
      "the pair takes writes",
      async () => {
        for (const index of [0, 1]) {
          await using grpc = connect({ endpoints: [pair.endpoint(index)], ...tls });
          await new EtcdClient(grpc, { timeoutMs: 1_000 }).put("/before", "haplan");
        }
        return true;
      },
      20_000,
    );
    return pair;
  }

  endpoint(index: number): string {
    return this.#url(endpointOf(this.place, index));
  }

  #url(plain: string): string {
    return this.#tls === null ? plain : plain.replace("http:", "https:");
  }

  #startMember(engine: Engine, index: number, directory: string): void {
    const { place } = this;
    const peer = (of: number): string => this.#url(`http://${hostOf(place, of)}:2380`);
    const data = join(directory, `old-${index + 1}`);
    mkdirSync(data, { recursive: true, mode: 0o700 });
    const log = openSync(`${data}.log`, "a", 0o600);
    const flags = [
      `--name=old-${index + 1}`,
      `--data-dir=${data}`,
      `--listen-client-urls=${this.endpoint(index)}`,
      `--advertise-client-urls=${this.endpoint(index)}`,
      `--listen-peer-urls=${peer(index)}`,
      `--initial-advertise-peer-urls=${peer(index)}`,
      `--initial-cluster=old-1=${peer(0)},old-2=${peer(1)}`,
      "--initial-cluster-state=new",
      ...this.#flags,
    ];
    const [file, args] =
      engine === "etcd" ? ["etcd", flags] : [process.execPath, [join(buildDir, "cmd/haplan-agent/main.js"), ...flags]];
    this.processes[index] = spawn(file, args, { stdio: ["ignore", log, log] });
    closeSync(log);
  }

  /** Kills one of the two and waits until it is gone. */
  async end(index: number): Promise<void> {
    const member = this.processes[index]!;
    if (member.exitCode !== null || member.signalCode !== null) return;
    const ended = once(member, "exit");
    member.kill("SIGKILL");
    await ended;
  }

  async stop(): Promise<void> {
    process.off("exit", this.#endAtExit);
    await Promise.all([this.end(0), this.end(1)]);
  }
}

/** A spec that takes the pair over and adds a third. */
export function adoptingSpec(name: string, engine: Engine, place: PairPlace, policy = ""): string {
  return `apiVersion: haplan.dev/v1
kind: Cluster
metadata:
  name: ${name}
spec:
  provider: { type: local }
  controlPlane:
    engine: ${engine}
    tls: { enabled: false }
    adopt:
      endpoints: ["${endpointOf(place, 0)}", "${endpointOf(place, 1)}"]
    masters:
      - { name: m1, address: ${hostOf(place, 0)} }
      - { name: m2, address: ${hostOf(place, 1)} }
      - { name: m3, address: ${hostOf(place, 2)} }
  loadBalancer: { type: embedded, address: ${hostOf(place, 9)}, ports: [2379] }
  policy: { joinTimeoutMs: 2000, healthSamples: 2${policy} }
`;
}
