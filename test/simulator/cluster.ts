/** A whole cluster in one process: hosts, their members, the network between them, and the observers. */
import type { Random } from "../../src/base/random.ts";
import type { MemberId } from "../../src/raft-agent/raft/entry.ts";
import { computeMemberId } from "../../src/raft-agent/state-machine/member-id.ts";
import type { Member } from "../../src/raft-agent/state-machine/membership.ts";
import { Checkers } from "./checkers/checkers.ts";
import { failureOf } from "./failure.ts";
import { History } from "./history.ts";
import { Host } from "./host.ts";
import { MemberProcess } from "./member-process.ts";
import type { Mutations } from "./mutations.ts";
import { Network } from "./network.ts";
import { clusterToken } from "./open-disk.ts";
import type { Profile } from "./profile.ts";
import { newerVersion, olderVersion } from "./releases.ts";
import { Life, SimulatedTime } from "./simulated-time.ts";
import { emptyStatistics, type Statistics } from "./statistics.ts";
import { Trace, textNumber } from "./trace.ts";
import { Violation } from "./violation.ts";
import type { World } from "./world.ts";

export class Cluster implements World {
  readonly time: SimulatedTime = new SimulatedTime();
  readonly trace: Trace = new Trace();
  readonly statistics: Statistics = emptyStatistics();
  readonly history: History = new History();
  readonly observer: Checkers = new Checkers(() => this.time.nowMs);
  readonly random: Random;
  readonly profile: Profile;
  readonly mutations: Mutations;
  readonly network: Network;
  readonly hosts: Map<MemberId, Host> = new Map();
  /** The first violation found. */
  violation: unknown = null;
  areClientsStopped = false;

  constructor(random: Random, profile: Profile, mutations: Mutations) {
    this.random = random;
    this.profile = profile;
    this.mutations = mutations;
    this.network = new Network(this.time, random, this.trace, profile.network);
    this.network.answerLossChance = profile.answerLossChance;
    const initialMembers = Array.from({ length: profile.members }, (_, at) =>
      computeMemberId([`http://founder-${at}:2380`], clusterToken),
    ).sort();
    this.observer.readable.isMixed = profile.mixesReleases;
    for (const id of initialMembers) this.#addHost(id, initialMembers);
    for (const id of initialMembers) this.start(this.hosts.get(id)!);
  }

  /** Every member process that is running. */
  processes(): MemberProcess[] {
    return [...this.hosts.values()].flatMap(({ process }) => (process === null ? [] : [process]));
  }

  /** The host of the leader of the latest term, if there is one. */
  leaderHost(): Host | null {
    let best: Host | null = null;
    for (const host of this.hosts.values()) {
      if (host.process?.role !== "leader") continue;
      if (best === null || host.process.term > best.process!.term) best = host;
    }
    return best;
  }

  /** Starts the hosts of members added to the cluster. `stillborn` ones never run. */
  provision(members: readonly Member[], isStillborn: () => boolean): void {
    for (const { id } of members) {
      if (this.hosts.has(id)) continue;
      const host = this.#addHost(id, null);
      if (isStillborn()) host.state = "lost";
      else this.start(host);
    }
  }

  /** Starts a process on a host that is down. */
  start(host: Host): void {
    if (host.state !== "down") return;
    host.state = "up";
    // The operator no longer starts the older release.
    if (this.observer.readable.isRaised) host.version = newerVersion;
    const life = new Life(this.time, () => host.clockOffsetMs);
    host.life = life;
    this.#note(host, "starts");
    MemberProcess.start(this, host, life).then(
      (process) => {
        if (!life.alive) return;
        host.process = process;
        // Recovery has read every byte: the flipped bit had no meaning.
        host.wasFlipped = false;
      },
      (error: unknown) => {
        if (life.alive) this.memberFailed(host, error);
      },
    );
  }

  /** The machine loses power. */
  losePower(host: Host): void {
    this.#end(host, "loses power", false);
    host.losePower();
    this.statistics.crashes++;
  }

  /** The process is killed. */
  kill(host: Host): void {
    this.#end(host, "is killed", true);
    host.endProcess();
    this.statistics.crashes++;
  }

  /** The host is permanently lost, with everything on it. */
  lose(host: Host): void {
    if (host.state === "up") this.losePower(host);
    host.state = "lost";
    this.statistics.lostMembers++;
    this.#note(host, "is permanently lost");
  }

  retire(host: Host): void {
    if (host.state === "retired") return;
    if (host.state === "up") {
      this.#end(host, "retires", true);
      host.endProcess();
    }
    host.state = "retired";
  }

  startLater(host: Host, afterMs: number): void {
    this.time.after(afterMs, () => {
      if (host.state === "down") this.statistics.restarts++;
      this.start(host);
    });
  }

  memberFailed(host: Host, error: unknown): void {
    const failure = failureOf(error, host);
    this.#note(host, `fails: ${error instanceof Error ? error.message : String(error)}`);
    if (failure === "bug") {
      this.fail(error);
      return;
    }
    if (failure === "tooOld") {
      try {
        this.observer.readable.unreadable(host.id, host.runsSinceMs ?? this.time.nowMs);
      } catch (violation) {
        this.fail(violation);
        return;
      }
    }
    this.#end(host, "stops", true);
    host.endProcess();
    if (failure === "damaged") {
      host.state = "lost";
      this.statistics.lostMembers++;
    } else this.startLater(host, 200 + this.random.next() * 2_000);
  }

  removed(host: Host): void {
    // After the turn in which it learned of it.
    host.life?.after(0, () => this.retire(host));
  }

  fail(error: unknown): void {
    this.violation ??= error;
  }

  /** Runs until `untilMs`, a violation, or until `isOver`. */
  async run(untilMs: number, isOver: () => boolean = () => false): Promise<void> {
    try {
      await this.time.runUntil(untilMs, () => this.violation !== null || isOver());
    } catch (error) {
      this.fail(error);
    }
  }

  /** @throws Violation the violation found, with the original error as its cause when it is another one. */
  throwViolation(): void {
    const { violation } = this;
    if (violation === null) return;
    throw violation instanceof Error ? violation : new Violation("error", String(violation));
  }

  note(numbers: readonly number[], text: string): void {
    this.trace.note(this.time.nowMs, [textNumber(text), ...numbers], () => `** ${text}`);
  }

  #addHost(id: MemberId, initialMembers: readonly MemberId[] | null): Host {
    const host = new Host(id, initialMembers, { time: this.time, random: this.random, profile: this.profile.disk });
    if (this.profile.mixesReleases && this.random.below(4) !== 0) host.version = olderVersion;
    this.hosts.set(id, host);
    return host;
  }

  #end(host: Host, what: string, closesConnections: boolean): void {
    this.#note(host, what);
    host.life?.end();
    if (host.process !== null) this.network.detach(host.id, closesConnections);
  }

  #note(host: Host, text: string): void {
    this.note([], `${host.id.slice(0, 4)} ${text}`);
  }
}
