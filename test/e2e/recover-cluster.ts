/** A real cluster that loses its quorum while a client writes, and what is checked of it afterwards. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "vitest";
import { prefixEnd } from "../../src/etcd-client/etcd-client.ts";
import { decodeKeyValue } from "../../src/raft-agent/api/key-value.ts";
import type { Engine } from "../compatibility/member-processes.ts";
import { addressOf, ClusterFixture, specText, until } from "./cluster-fixture.ts";
import {
  copyDisk,
  endReturned,
  type FormerMember,
  flagsOf,
  returnMembers,
  settle,
  type Way,
  wordsOf,
} from "./returning-members.ts";

function end(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended before.
  }
}

export class RecoverCluster {
  readonly fixture: ClusterFixture;
  readonly endpoint: string;
  readonly names: readonly string[];
  /** Keys whose writes were acknowledged. */
  readonly acknowledged: string[] = [];
  #writing = false;
  #writer: Promise<void> = Promise.resolve();
  #written = 0;
  #rounds = 0;

  constructor(network: number, masters: number, engine: Engine = "agent") {
    const text = specText({ network, masters, tls: true });
    this.fixture = new ClusterFixture(text.replace("    members:", `    engine: ${engine}\n    members:`));
    this.endpoint = `https://${addressOf(network, 100)}:2379`;
    this.names = Array.from({ length: masters }, (_, at) => `m${at + 1}`);
  }

  machineDir(name: string): string {
    return join(this.fixture.directory, ".haplan/e2e/machines", name);
  }

  async pids(): Promise<ReadonlyMap<string, number>> {
    const { members } = await this.fixture.status();
    return new Map(members.flatMap(({ name, pid }) => (pid === null ? [] : [[name, pid] as const])));
  }

  startWriting(): void {
    this.#writing = true;
    this.#writer = this.#write();
  }

  async stopWriting(): Promise<void> {
    this.#writing = false;
    await this.#writer;
  }

  async #write(): Promise<void> {
    const client = this.fixture.client(this.endpoint, 1_000);
    while (this.#writing) {
      const key = `/written/${this.#written++}`;
      try {
        await client.put(key, key);
        this.acknowledged.push(key);
      } catch {
        await sleep(20);
      }
    }
  }

  /** Of those that are about to be lost: a second image is added by `lose`. */
  async former(names: readonly string[], image: string): Promise<readonly FormerMember[]> {
    const pids = await this.pids();
    return names.map((name) => {
      const words = wordsOf(pids.get(name)!);
      const copy = (at: string): string => join(this.fixture.directory, "images", name, at);
      return {
        ...{ name, words, early: copy("early"), late: copy("late") },
        clientUrl: flagsOf(words).get("advertise-client-urls")!,
        ...(image === "early" ? { early: copyDisk(join(this.machineDir(name), "data"), copy("early")) } : {}),
      };
    });
  }

  /** Pauses the members while the client writes: to haplan, their machines are unreachable. */
  async pause(former: readonly FormerMember[]): Promise<ReadonlyMap<string, number>> {
    const pids = await this.pids();
    for (const { name } of former) process.kill(pids.get(name)!, "SIGSTOP");
    for (const { name, late } of former) {
      copyDisk(join(this.machineDir(name), "data"), late);
      writeFileSync(join(this.machineDir(name), "machine.json"), "{");
    }
    // A leader that has lost its majority steps down within an election timeout.
    await until("no member leads", async () => !(await this.fixture.status()).hasLeader, 20_000);
    return pids;
  }

  async teardown(pids: ReadonlyMap<string, number> = new Map()): Promise<void> {
    for (const pid of pids.values()) end(pid);
    await this.fixture.teardown();
  }

  async keys(): Promise<ReadonlySet<string>> {
    const range = { rangeEnd: prefixEnd("/written/") };
    const { kvs } = await this.fixture.client(this.endpoint).range("/written/", range);
    return new Set(kvs.map((kv) => Buffer.from(decodeKeyValue(kv).key).toString()));
  }

  /** The cluster is one, serves, and has the members that it had. */
  async facts(): Promise<object> {
    const client = this.fixture.client(this.endpoint);
    await until("a write succeeds", () => client.put("/probe", "x"));
    const { clusterId, members } = await client.cluster.memberList();
    return { clusterId, members: members.map(({ id }) => id).sort() };
  }

  /** Former members return, as a majority of the former cluster: none of them may join, and they may not serve. */
  async expectRefused(way: Way, former: readonly FormerMember[]): Promise<void> {
    const before = await this.facts();
    const returned = returnMembers(join(this.fixture.directory, `returned-${this.#rounds++}`), way, former);
    await settle(returned, 8_000);
    const answers = await Promise.allSettled(
      returned.map(({ member }) => this.fixture.client(member.clientUrl, 1_000).put("/split", "x")),
    );
    const written = answers.filter(({ status }) => status === "fulfilled").length;
    const said = (await Promise.all(returned.map(endReturned))).join("\n");
    expect({ written, said }).toMatchObject({ written: 0 });
    expect(await this.facts()).toEqual(before);
  }

  logOf(name: string): string {
    return readFileSync(join(this.machineDir(name), "units/agent/unit.log"), "utf8");
  }
}
