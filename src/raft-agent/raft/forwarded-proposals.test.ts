/** Proposals that a follower forwards while leadership moves: each is committed once, and none is lost. */
import { describe, expect, it } from "vitest";
import { MemoryMember, memberId } from "../../../test/raft-core/memory-member.ts";
import { createRandom } from "../../base/random.ts";
import { bootstrapState } from "./bootstrap.ts";
import type { MemberId } from "./entry.ts";
import type { Message } from "./message.ts";

const electionTimeoutTicks = 20;

/**
 * Members whose messages are delivered one at a time, in an order drawn from the seed; messages of one connection stay
 * in order.
 */
class Network {
  readonly members: readonly MemoryMember[];
  readonly committed: Map<MemberId, string[]>;
  readonly #random: ReturnType<typeof createRandom>;
  #underWay: Message[] = [];

  constructor(size: number, seed: number) {
    this.#random = createRandom(seed);
    const ids = Array.from({ length: size }, (_, at) => memberId(at + 1));
    this.members = ids.map((id) => {
      const random = createRandom(this.#random.below(2 ** 32));
      return new MemoryMember({ id, random, electionTimeoutTicks, heartbeatTicks: 3 }, bootstrapState(ids));
    });
    this.committed = new Map(ids.map((id) => [id, []]));
  }

  leader(): MemoryMember | undefined {
    return this.members.find(({ raft }) => raft.status().role === "leader");
  }

  /** Delivers up to `count` messages; returns whether any are left. */
  deliver(count = Number.POSITIVE_INFINITY): boolean {
    this.#collect();
    for (let i = 0; i < count && this.#underWay.length > 0; i += 1) {
      const chosen = this.#underWay[this.#random.below(this.#underWay.length)]!;
      const at = this.#underWay.findIndex(({ from, to }) => from === chosen.from && to === chosen.to);
      const [message] = this.#underWay.splice(at, 1);
      this.members.find(({ id }) => id === message!.to)?.step({ kind: "message", message: message! });
      this.#collect();
    }
    return this.#underWay.length > 0;
  }

  tick(): void {
    for (const member of this.members) member.step({ kind: "tick" });
    this.deliver();
  }

  #collect(): void {
    for (const member of this.members) {
      for (let ready = member.takeReady(); ready !== null; ready = member.takeReady()) {
        this.#underWay.push(...ready.messages);
        const texts = ready.committed.map(({ data }) => Buffer.from(data).toString()).filter((text) => text !== "");
        this.committed.get(member.id)!.push(...texts.filter((text) => text.startsWith("write ")));
        while (member.unsynced.length > 0) this.#underWay.push(...member.persist());
      }
    }
  }
}

function electedNetwork(size: number, seed: number): Network {
  const network = new Network(size, seed);
  network.members[0]!.step({ kind: "campaign" });
  network.deliver();
  expect(network.leader()?.id).toBe(memberId(1));
  return network;
}

describe("forwarded proposals", () => {
  it.each(Array.from({ length: 20 }, (_, seed) => seed))(
    "T11: are committed exactly once while leadership moves (seed %i)",
    (seed) => {
      const random = createRandom(1_000 + seed);
      const network = electedNetwork(3, seed);
      const accepted: string[] = [];
      for (let round = 0; round < 300; round += 1) {
        const member = network.members[random.below(3)]!;
        const text = `write ${round}`;
        if (member.raft.propose([Buffer.from(text)]).accepted) accepted.push(text);
        if (round % 20 === 10) {
          const leader = network.leader();
          const others = network.members.filter(({ id }) => id !== leader?.id);
          leader?.step({ kind: "transferLeadership", to: others[random.below(2)]!.id });
        }
        network.deliver(random.below(6));
      }
      network.deliver();
      for (let i = 0; i < 2 * electionTimeoutTicks; i += 1) network.tick();
      expect(accepted.length).toBeGreaterThan(100);
      for (const committed of network.committed.values()) expect([...committed].sort()).toEqual([...accepted].sort());
    },
  );

  it("T11: are appended by a leader whose transfer fails", () => {
    const network = electedNetwork(3, 1);
    const [leader, follower] = network.members;
    // The timeoutNow message to the successor is lost, together with the time it would take.
    leader!.step({ kind: "transferLeadership", to: memberId(3) });
    leader!.takeReady();
    follower!.raft.propose([Buffer.from("write a")]);
    network.deliver();
    expect(network.committed.get(memberId(1))).toEqual([]);
    for (let i = 0; i <= electionTimeoutTicks; i += 1) network.tick();
    expect(network.leader()?.id).toBe(memberId(1));
    expect([...network.committed.values()]).toEqual([["write a"], ["write a"], ["write a"]]);
  });

  it("T11: are dropped when no leader is found before their member times out", () => {
    const member = new MemoryMember(
      { id: memberId(1), random: createRandom(1), electionTimeoutTicks, heartbeatTicks: 3 },
      bootstrapState([memberId(1), memberId(2), memberId(3)]),
    );
    const forward = (text: string): void => {
      const proposals = [Buffer.from(text)];
      const message = { from: memberId(2), to: memberId(1), term: 1, kind: "forwardedProposals" as const, proposals };
      member.step({ kind: "message", message });
    };
    const hear = (): readonly string[] => {
      const heartbeat = { kind: "heartbeatRequest" as const, commitIndex: 1, readRound: 0 };
      const { term } = member.raft.status();
      member.step({ kind: "message", message: { from: memberId(3), to: memberId(1), term, ...heartbeat } });
      const sent: string[] = [];
      for (let ready = member.takeReady(); ready !== null; ready = member.takeReady()) {
        for (const message of ready.messages) if (message.kind === "forwardedProposals") sent.push(message.to);
        while (member.unsynced.length > 0) member.persist();
      }
      return sent;
    };
    forward("write a");
    expect(hear()).toEqual([memberId(3)]);
    for (let i = 0; i < 2 * electionTimeoutTicks; i += 1) member.step({ kind: "tick" });
    forward("write b");
    for (let i = 0; i <= 2 * electionTimeoutTicks; i += 1) member.step({ kind: "tick" });
    expect(hear()).toEqual([]);
  });
});
