/**
 * A cluster under a random schedule: each step draws one of the possible events. Messages are lost, duplicated and
 * reordered, members crash and lose what was not synced, links break, voters change. The same seed gives the same run.
 */
import { createRandom, type Random } from "../../src/base/random.ts";
import { bootstrapState, joiningState } from "../../src/raft-agent/raft/bootstrap.ts";
import type { MemberId } from "../../src/raft-agent/raft/entry.ts";
import type { Message } from "../../src/raft-agent/raft/message.ts";
import type { RaftOptions } from "../../src/raft-agent/raft/options.ts";
import { type SafetyRules, safetyRules } from "../../src/raft-agent/raft/safety-rules.ts";
import { MemoryMember, memberId } from "./memory-member.ts";
import { SafetyChecker } from "./safety-checker.ts";

const maxNetworkMessages = 400;

export type ScheduleOptions = {
  readonly seed: number;
  readonly initialMembers: number;
  /** Members that exist from the start and may be added to the cluster later. */
  readonly joiners: number;
  readonly steps: number;
  /** Replaces some safety rules with broken ones. */
  readonly rules?: Partial<SafetyRules>;
};

export class RandomSchedule {
  readonly members: MemoryMember[] = [];
  readonly checker: SafetyChecker = new SafetyChecker();
  readonly #options: ScheduleOptions;
  readonly #random: Random;
  #network: Message[] = [];
  /** Members partitioned from every member outside their group; a group number for each. */
  readonly #groups = new Map<MemberId, number>();
  #counter = 0;

  constructor(options: ScheduleOptions) {
    this.#options = options;
    this.#random = createRandom(options.seed);
    const initialMembers = Array.from({ length: options.initialMembers }, (_, i) => memberId(i + 1));
    for (let n = 1; n <= options.initialMembers + options.joiners; n += 1) {
      const restored = n <= options.initialMembers ? bootstrapState(initialMembers) : joiningState();
      this.members.push(new MemoryMember(this.#raftOptions(memberId(n)), restored));
      this.checker.start(memberId(n), restored.snapshot, []);
    }
  }

  /** Runs the given number of steps; throws when a safety property is violated. */
  run(): void {
    for (let step = 0; step < this.#options.steps; step += 1) this.#step();
  }

  /** Ends all faults and runs until every voter has applied a new proposal. Returns false if that never happens. */
  recover(): boolean {
    this.#groups.clear();
    let goal = Number.POSITIVE_INFINITY;
    for (let round = 0; round < 600; round += 1) {
      for (const member of this.members) member.step({ kind: "tick" });
      for (let pass = 0; pass < 6; pass += 1) {
        for (const member of this.members) this.#work(member, true);
        for (const message of this.#network.splice(0)) this.#deliver(message);
      }
      const leader = this.members.find((member) => member.raft.status().role === "leader");
      if (leader === undefined || round < 100) continue;
      if (goal === Number.POSITIVE_INFINITY && leader.raft.propose([new Uint8Array([1])]).accepted) {
        goal = leader.raft.status().lastIndex;
      }
      const { voters } = leader.raft.status().configuration;
      if (this.members.every((member) => !voters.includes(member.id) || member.appliedIndex >= goal)) return true;
    }
    return false;
  }

  #step(): void {
    const member = this.#pick(this.members);
    const lot = this.#random.below(1000);
    if (lot < 380) this.#deliverAny();
    else if (lot < 640) this.#work(member, false);
    else if (lot < 820) this.#sync(this.members.find((other) => other.unsynced.length > 0) ?? member);
    else if (lot < 880) member.step({ kind: "tick" });
    else if (lot < 930) this.#propose(member);
    else if (lot < 950) this.#read(member);
    else if (lot < 963) this.#configure(member);
    else if (lot < 966) member.step({ kind: "transferLeadership", to: this.#pick(this.members).id });
    else if (lot < 976) member.compact(member.appliedIndex - this.#random.below(4));
    else if (lot < 981) member.step({ kind: "peerDisconnected", peer: this.#pick(this.members).id });
    else if (lot < 986) this.#partition();
    else if (lot < 988) member.step({ kind: "diskStalled" });
    else if (lot < 993) member.step({ kind: "campaign" });
    else this.#restart(member);
    member.raft.assertInvariants();
  }

  /** Takes a `Ready`; with `sync` the disk is immediate. */
  #work(member: MemoryMember, sync: boolean): void {
    const ready = member.takeReady();
    if (ready !== null) {
      this.checker.observe(member.id, ready);
      this.#send(ready.messages);
      if (ready.persistTicket === null) this.#send(ready.messagesAfterPersist);
    }
    while (sync && member.unsynced.length > 0) this.#sync(member);
  }

  #sync(member: MemoryMember): void {
    this.#send(member.persist());
  }

  #send(messages: readonly Message[]): void {
    for (const message of messages) {
      if (this.#network.length < maxNetworkMessages) this.#network.push(message);
      else this.#lose(message);
    }
  }

  #deliverAny(): void {
    if (this.#network.length === 0) return;
    // Mostly the oldest, so that there is progress; sometimes another one, sometimes twice, sometimes never.
    const at = this.#random.below(4) === 0 ? this.#random.below(this.#network.length) : 0;
    const message = this.#network[at];
    if (message === undefined) return;
    const fate = this.#random.below(20);
    if (fate !== 0 || message.kind === "forwardedProposals") this.#network.splice(at, 1);
    if (fate === 1) this.#lose(message);
    else this.#deliver(message);
  }

  #deliver(message: Message): void {
    const to = this.members.find((member) => member.id === message.to);
    const isCut = (this.#groups.get(message.from) ?? 0) !== (this.#groups.get(message.to) ?? 0);
    const arrives = to !== undefined && !isCut;
    if (arrives) to.step({ kind: "message", message });
    this.#reportSnapshot(message, arrives);
  }

  #lose(message: Message): void {
    this.#reportSnapshot(message, false);
  }

  #reportSnapshot(message: Message, succeeded: boolean): void {
    if (message.kind !== "snapshotRequest") return;
    const from = this.members.find((member) => member.id === message.from);
    from?.step({ kind: "snapshotSent", peer: message.to, succeeded });
  }

  #propose(member: MemoryMember): void {
    this.#counter += 1;
    member.raft.propose([new Uint8Array([this.#counter & 255, (this.#counter >> 8) & 255])]);
  }

  #read(member: MemoryMember): void {
    this.#counter += 1;
    this.checker.beginRead(member.id, this.#counter);
    member.raft.requestRead(this.#counter);
  }

  /** Proposes a random membership: every other member is a learner or removed. */
  #configure(member: MemoryMember): void {
    const voters: MemberId[] = [];
    const learners: MemberId[] = [];
    for (const { id } of this.members) {
      const lot = this.#random.below(10);
      if (lot < 5) voters.push(id);
      else if (lot < 8) learners.push(id);
    }
    member.raft.proposeConfiguration({ target: { voters, learners }, context: new Uint8Array([this.#counter & 255]) });
  }

  #partition(): void {
    this.#groups.clear();
    if (this.#random.below(2) === 0) return;
    for (const { id } of this.members) this.#groups.set(id, this.#random.below(2));
  }

  #restart(member: MemoryMember): void {
    member.restart(this.#raftOptions(member.id), this.#random.below(member.unsynced.length + 1));
    this.checker.start(member.id, member.disk.snapshot, member.disk.entries);
  }

  #raftOptions(id: MemberId): RaftOptions {
    return {
      id,
      random: createRandom(this.#random.below(2 ** 32)),
      electionTimeoutTicks: 8,
      heartbeatTicks: 2,
      maxInflightMessages: 4,
      maxAppendBytes: 120,
      maxCommittedBytes: 200,
      maxUncommittedBytes: 4000,
      maxLearnerLagEntries: 5,
      preVote: this.#options.seed % 4 !== 0,
      checkQuorum: this.#options.seed % 3 !== 0,
      rules: { ...safetyRules, ...this.#options.rules },
    };
  }

  #pick<T>(list: readonly T[]): T {
    return list[this.#random.below(list.length)] as T;
  }
}
