/**
 * How long a cluster has no leader after its leader is killed, in simulated milliseconds: members tick out of phase,
 * messages and disks take time, and each member notices the broken connection at another moment.
 */
import { describe, expect, it } from "vitest";
import { MemoryMember, memberId } from "../../../test/raft-core/memory-member.ts";
import { createRandom, type Random } from "../../base/random.ts";
import { bootstrapState } from "./bootstrap.ts";
import type { MemberId } from "./entry.ts";
import type { Message } from "./message.ts";

type Range = readonly [low: number, high: number];
type Pace = { readonly fsyncMs: Range; readonly noticeMs: Range; readonly messageMs: Range };

const tickMs = 20;

class TimedCluster {
  nowMs = 0;
  readonly members = new Map<MemberId, MemoryMember>();
  readonly #random: Random;
  #agenda: { readonly atMs: number; readonly act: () => void }[] = [];

  readonly #pace: Pace;
  readonly #broken = new Set<string>();

  constructor(size: number, seed: number, pace: Pace) {
    this.#pace = pace;
    this.#random = createRandom(seed);
    const ids = Array.from({ length: size }, (_, i) => memberId(i + 1));
    for (const id of ids) {
      const random = createRandom(this.#random.below(2 ** 32));
      const member = new MemoryMember({ id, random, electionTimeoutTicks: 50, heartbeatTicks: 5 }, bootstrapState(ids));
      this.members.set(id, member);
      const tick = (): void => {
        if (!this.members.has(id)) return;
        member.step({ kind: "tick" });
        this.work(member);
        this.in(tickMs, tick);
      };
      this.in(this.between(0, tickMs), tick);
    }
  }

  between(low: number, high: number): number {
    return low + this.#random.next() * (high - low);
  }

  in(delayMs: number, act: () => void): void {
    this.#agenda.push({ atMs: this.nowMs + delayMs, act });
  }

  /** Runs the next events until `isDone` holds. */
  runUntil(isDone: () => boolean): void {
    for (let event = 0; event < 100_000 && !isDone(); event += 1) {
      this.#agenda.sort((a, b) => a.atMs - b.atMs);
      const next = this.#agenda.shift();
      if (next === undefined) return;
      this.nowMs = next.atMs;
      next.act();
    }
  }

  work(member: MemoryMember): void {
    for (let ready = member.takeReady(); ready !== null; ready = member.takeReady()) {
      this.#send(ready.messages);
      if (ready.persistTicket !== null) {
        this.in(this.between(...this.#pace.fsyncMs), () => {
          if (!this.members.has(member.id)) return;
          this.#send(member.persist());
          this.work(member);
        });
      }
    }
  }

  kill(leader: MemberId): void {
    this.members.delete(leader);
    for (const member of this.members.values()) {
      this.in(this.between(...this.#pace.noticeMs), () => {
        this.#broken.add(`${leader} ${member.id}`);
        member.step({ kind: "peerDisconnected", peer: leader });
        this.work(member);
      });
    }
  }

  leader(): MemoryMember | undefined {
    return [...this.members.values()].find((member) => member.raft.status().role === "leader");
  }

  #send(messages: readonly Message[]): void {
    for (const message of messages) {
      this.in(this.between(...this.#pace.messageMs), () => {
        // A connection that is known to be closed delivers nothing more.
        if (this.#broken.has(`${message.from} ${message.to}`)) return;
        const to = this.members.get(message.to);
        to?.step({ kind: "message", message });
        if (to !== undefined) this.work(to);
      });
    }
  }
}

/** The time from the kill of a busy leader until another one has committed an entry of its own term. */
function gapMs(size: number, seed: number, pace: Pace): number {
  const cluster = new TimedCluster(size, seed, pace);
  const candidate = cluster.members.get(memberId((seed % size) + 1));
  candidate?.step({ kind: "campaign" });
  if (candidate !== undefined) cluster.work(candidate);
  cluster.runUntil(() => cluster.nowMs > 2_000);
  const old = cluster.leader();
  if (old === undefined) throw new Error("The cluster has not elected a leader");
  // Entries in flight at the kill leave the followers with logs of different lengths.
  old.raft.propose([new Uint8Array(1)]);
  cluster.work(old);
  const settledMs = cluster.nowMs;
  cluster.runUntil(() => cluster.nowMs > settledMs + 1);
  old.raft.propose([new Uint8Array(2)]);
  cluster.work(old);
  cluster.runUntil(() => cluster.nowMs > settledMs + 1.5);
  cluster.kill(old.id);
  const killedMs = cluster.nowMs;
  cluster.runUntil(() => {
    const status = cluster.leader()?.raft.status();
    return status !== undefined && status.commitIndex === status.lastIndex && status.term > 2;
  });
  return cluster.nowMs - killedMs;
}

function sortedGapsMs(size: number, pace: Pace): readonly number[] {
  return Array.from({ length: 100 }, (_, seed) => gapMs(size, seed, pace)).sort((a, b) => a - b);
}

describe("failover", () => {
  it.each([3, 5])("a killed leader of %i members is replaced well within 150 ms at ticks of 20 ms", (size) => {
    const gaps = sortedGapsMs(size, { fsyncMs: [1, 4], noticeMs: [2, 8], messageMs: [0.2, 2] });
    expect(gaps[50]).toBeLessThan(60);
    expect(gaps.at(-1)).toBeLessThan(150);
  });

  it.each([3, 5])("%i members on a busy machine do not split the vote", (size) => {
    // Each member notices the kill at another time, so election slots overlap, and three slow fsyncs follow one
    // another: the candidate's term, the vote for it, and the entry that opens the new term.
    const gaps = sortedGapsMs(size, { fsyncMs: [20, 60], noticeMs: [2, 150], messageMs: [1, 40] });
    expect(gaps.at(-1)).toBeLessThan(800);
  });
});
