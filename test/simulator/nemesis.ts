/** Injects faults into a cluster, at random times and in random combinations. */

import { encodeCompactionRequest } from "../../src/raft-agent/api/compaction.ts";
import type { MemberId } from "../../src/raft-agent/raft/entry.ts";
import { ClientCall } from "./client-call.ts";
import type { Cluster } from "./cluster.ts";
import type { Host } from "./host.ts";
import type { Operator } from "./operator.ts";
import { type FaultKind, faultKinds } from "./profile.ts";

const yearMs = 365 * 86_400_000;

export class Nemesis {
  readonly #cluster: Cluster;
  readonly #operator: Operator;
  readonly #faults: Readonly<Record<FaultKind, () => void>>;
  #isStopped = false;

  constructor(cluster: Cluster, operator: Operator) {
    this.#cluster = cluster;
    this.#operator = operator;
    this.#faults = {
      powerLoss: () => this.#onHost((host) => this.#crash(host, true)),
      kill: () => this.#onHost((host) => this.#crash(host, false)),
      gracefulRestart: () => this.#gracefulRestart(),
      powerLossEverywhere: () => this.#powerLossEverywhere(),
      partition: () => this.#partition(),
      isolateLeader: () => this.#isolateLeader(),
      oneWayCut: () => this.#oneWayCut(),
      pairCut: () => this.#pairCut(),
      breakConnection: () => this.#breakConnection(),
      slowLink: () => this.#slowLink(),
      lossBurst: () => this.#lossBurst(),
      diskStall: () => this.#onDisk("stalls", (host) => host.stallDisk(100 + this.#upTo(3_000))),
      syncFailure: () => this.#onDisk("fails a sync", (host) => host.failNextSync()),
      diskFull: () => this.#diskFull(),
      bitFlip: () => this.#bitFlip(),
      wipe: () => this.#wipe(),
      pause: () => this.#pause(),
      transfer: () => this.#transfer(),
      resize: () => this.#resize(),
      replace: () => this.#replace(),
      compact: () => this.#compact(),
      rollBack: () => this.#rollBack(),
      clockJump: () => this.#onHost((host) => this.#moveClock(host)),
    };
    operator.onChange = (coming) => this.#cutAtChange(coming);
    this.#schedule();
  }

  stop(): void {
    this.#isStopped = true;
  }

  #schedule(): void {
    const { random, profile, time } = this.#cluster;
    time.after(-Math.log(1 - random.next()) * profile.faultEveryMs, () => {
      if (this.#isStopped) return;
      this.#draw();
      this.#schedule();
    });
  }

  #draw(): void {
    const { random, profile } = this.#cluster;
    const { weights } = profile;
    let lot = random.next() * faultKinds.reduce((sum, kind) => sum + weights[kind], 0);
    for (const kind of faultKinds) {
      lot -= weights[kind];
      if (lot < 0) {
        this.#faults[kind]();
        return;
      }
    }
  }

  #crash(host: Host, isPowerLoss: boolean): void {
    if (isPowerLoss) this.#cluster.losePower(host);
    else this.#cluster.kill(host);
    this.#cluster.startLater(host, 20 + this.#cluster.random.next() ** 2 * this.#cluster.profile.restartMsMax);
  }

  #powerLossEverywhere(): void {
    this.#cluster.note([], "the power fails");
    for (const host of this.#upHosts()) this.#crash(host, true);
  }

  #gracefulRestart(): void {
    const host = this.#cluster.leaderHost();
    const to = this.#pickHost();
    if (host === null || to === null) return;
    host.process!.driver.step({ kind: "transferLeadership", to: to.id });
    this.#cluster.time.after(50, () => {
      if (host.state === "up") this.#crash(host, false);
    });
  }

  #partition(): void {
    const ids = this.#ids();
    const left = ids.filter(() => this.#cluster.random.below(2) === 0);
    this.#cut(left, ids, "both");
  }

  #isolateLeader(): void {
    const leader = this.#cluster.leaderHost();
    if (leader !== null) this.#cut([leader.id], this.#ids(), "both");
  }

  #oneWayCut(): void {
    const ids = this.#ids();
    const left = ids.filter(() => this.#cluster.random.below(2) === 0);
    this.#cut(left, ids, "oneWay");
  }

  /** Two members cannot reach each other, but all others reach both. */
  #pairCut(): void {
    const [left, right] = [this.#pickHost(), this.#pickHost()];
    if (left !== null && right !== null && left !== right) this.#cut([left.id], [left.id, right.id], "both");
  }

  #cut(left: readonly MemberId[], all: readonly MemberId[], directions: "both" | "oneWay"): void {
    const { network, profile, random, time, statistics } = this.#cluster;
    const right = all.filter((id) => !left.includes(id));
    if (left.length === 0 || right.length === 0) return;
    statistics.partitions++;
    const isReported = random.below(2) === 0;
    const short = (ids: readonly MemberId[]): string => ids.map((id) => id.slice(0, 4)).join(" ");
    this.#cluster.note(
      [],
      `${short(left)} ${directions === "both" ? "partitioned from" : "not heard by"} ${short(right)}`,
    );
    const heals = [network.cut(left, right, isReported)];
    if (directions === "both") heals.push(network.cut(right, left, isReported));
    time.after(100 + random.next() ** 2 * profile.cutMsMax, () => {
      for (const heal of heals) heal();
    });
  }

  /** The leader and the new voters on one side, or the leader and the old ones: neither half may decide alone. */
  #cutAtChange(coming: readonly MemberId[]): void {
    const { random, profile, time } = this.#cluster;
    if (this.#isStopped || random.next() >= profile.cutAtChangeChance) return;
    time.after(this.#upTo(4 * (profile.network.delayMs + profile.network.jitterMs) + 5), () => {
      const leader = this.#cluster.leaderHost()?.id;
      const ids = this.#ids();
      const isComing = (id: MemberId): boolean => coming.includes(id);
      const withNew = random.below(2) === 0;
      this.#cut(
        ids.filter((id) => id === leader || isComing(id) === withNew),
        ids,
        "both",
      );
    });
  }

  #breakConnection(): void {
    const [left, right] = [this.#pickHost(), this.#pickHost()];
    if (left === null || right === null || left === right) return;
    this.#cluster.note([], `the connection of ${left.id.slice(0, 4)} and ${right.id.slice(0, 4)} breaks`);
    this.#cluster.network.breakConnection(left.id, right.id);
  }

  #slowLink(): void {
    const { network, time } = this.#cluster;
    const [from, to] = [this.#pickHost(), this.#pickHost()];
    if (from === null || to === null || from === to) return;
    network.slowDown(from.id, to.id, 10 + this.#upTo(400));
    time.after(500 + this.#upTo(4_000), () => network.slowDown(from.id, to.id, 0));
  }

  #lossBurst(): void {
    const { network, random, time } = this.#cluster;
    network.extraLoss = 0.1 + random.next() * 0.5;
    time.after(200 + this.#upTo(3_000), () => {
      network.extraLoss = 0;
    });
  }

  #diskFull(): void {
    this.#onDisk("is full", (host) => {
      host.fillDisk();
      this.#cluster.time.after(1_000 + this.#upTo(4_000), () => host.repairDisk());
    });
  }

  /**
   * A bit of the log is flipped while the machine is down. Mostly the member then has to reject its log; only one may
   * be lost at a time.
   */
  #bitFlip(): void {
    const host = this.#pickHost();
    if (host === null || this.#isAnyMemberMissing()) return;
    this.#cluster.losePower(host);
    host.wasFlipped = true;
    void this.#flipBit(host);
    this.#cluster.startLater(host, 20 + this.#upTo(1_000));
  }

  async #flipBit(host: Host): Promise<void> {
    const { random } = this.#cluster;
    const names = (await host.disk.list("wal")).filter((name) => name.endsWith(".log"));
    if (names.length === 0) return;
    const path = `wal/${names[random.below(names.length)]}`;
    const end = host.disk.contentOf(path).findLastIndex((byte) => byte !== 0) + 1;
    host.disk.flipBit(path, random.below(Math.max(1, end * 8)));
    this.#cluster.note([], `a bit flips in ${path} of ${host.id.slice(0, 4)}`);
  }

  #wipe(): void {
    const host = this.#pickHost();
    if (host !== null && !this.#isAnyMemberMissing()) this.#cluster.lose(host);
  }

  /** The machine is restored from an older copy. */
  #rollBack(): void {
    const host = this.#pickHost();
    if (host === null || this.#isAnyMemberMissing()) return;
    const copy = host.copyDisk();
    this.#cluster.time.after(100 + this.#upTo(2_000), () => {
      if (host.state !== "up" || this.#isAnyMemberMissing() || this.#isStopped) return;
      this.#cluster.losePower(host);
      host.rollBack(copy);
      this.#cluster.note([], `the disk of ${host.id.slice(0, 4)} is restored from an older copy`);
      this.#cluster.startLater(host, 20 + this.#upTo(500));
    });
  }

  #pause(): void {
    this.#onHost((host) => {
      this.#cluster.note([], `${host.id.slice(0, 4)} is paused`);
      host.life?.pause(50 + this.#upTo(4_000));
    });
  }

  #transfer(): void {
    const leader = this.#cluster.leaderHost();
    const to = this.#pickHost();
    if (leader === null || to === null || to === leader) return;
    this.#cluster.note([], `transferring leadership to ${to.id.slice(0, 4)}`);
    leader.process!.driver.step({ kind: "transferLeadership", to: to.id });
  }

  #resize(): void {
    const { random } = this.#cluster;
    this.#operator.goal = [3, 5, 7][random.below(3)]!;
    this.#cluster.note([this.#operator.goal], `goal: ${this.#operator.goal} voters`);
  }

  /** Replaces a healthy machine with another one. */
  #replace(): void {
    const host = this.#pickHost();
    if (host === null || this.#isAnyMemberMissing()) return;
    host.isLeaving = true;
    this.#cluster.note([], `replacing ${host.id.slice(0, 4)}`);
  }

  /** Years ahead, or behind, or correct again. */
  #moveClock(host: Host): void {
    const { random } = this.#cluster;
    host.clockOffsetMs = random.below(3) === 0 ? 0 : Math.floor((random.next() - 0.4) * 10 * yearMs);
    this.#cluster.note([host.clockOffsetMs], `the clock of ${host.id.slice(0, 4)} is ${host.clockOffsetMs} ms off`);
  }

  /** Compacts the history of the keys, up to slightly before now. */
  #compact(): void {
    const process = this.#pickHost()?.process;
    if (process === null || process === undefined) return;
    const revision = process.store.revision - this.#cluster.random.below(60);
    if (revision <= process.store.compactedRevision) return;
    this.#cluster.statistics.keyCompactions++;
    this.#cluster.note([revision], `compacting history up to ${revision}`);
    const request = encodeCompactionRequest({ revision, physical: false });
    process.life.after(0, () => process.call(request, new ClientCall("/etcdserverpb.KV/Compact", () => {})));
  }

  #onDisk(what: string, harm: (host: Host) => void): void {
    this.#onHost((host) => {
      this.#cluster.statistics.diskFaults++;
      this.#cluster.note([], `the disk of ${host.id.slice(0, 4)} ${what}`);
      harm(host);
    });
  }

  #onHost(harm: (host: Host) => void): void {
    const host = this.#pickHost();
    if (host !== null) harm(host);
  }

  #pickHost(): Host | null {
    const hosts = this.#upHosts();
    return hosts.length === 0 ? null : hosts[this.#cluster.random.below(hosts.length)]!;
  }

  #upHosts(): Host[] {
    return [...this.#cluster.hosts.values()].filter(({ state }) => state === "up");
  }

  /**
   * A disk that is lost, or may turn out to be: a cluster survives one at a time, until the operator has replaced it.
   */
  #isAnyMemberMissing(): boolean {
    const hosts = [...this.#cluster.hosts.values()];
    return hosts.some(
      ({ state, isLeaving, wasFlipped, wasRolledBack }) =>
        state !== "retired" && (state === "lost" || isLeaving || wasFlipped || wasRolledBack),
    );
  }

  #ids(): MemberId[] {
    return this.#upHosts().map(({ id }) => id);
  }

  #upTo(ms: number): number {
    return this.#cluster.random.next() * ms;
  }
}
