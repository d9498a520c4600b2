import { describe, expect, it } from "vitest";
import { createHarness, self } from "../../../test/support/single-member.ts";
import { CommandKind, createCommandCodec } from "../state-machine/command.ts";
import { EtcdErrors } from "../state-machine/etcd-error.ts";
import { Proposer } from "./proposer.ts";

const other = "1111111111111111";

// `request-numbers-reused-after-restart` among the mutants of the simulator.
it("a restarted member does not mistake an entry from before the restart for the result of a new request", async () => {
  const { services } = await createHarness();
  const { decode } = createCommandCodec(self);
  const numbers: number[] = [];
  const consensus = {
    ...services.context.consensus,
    memberId: self,
    leader: () => self,
    propose: (payload: Uint8Array) => {
      numbers.push(decode(payload).requestNumber);
      return { accepted: true } as const;
    },
  };
  const answers: unknown[] = [];
  const life = (startedAtMs: number): Proposer => {
    const clock = { now: () => startedAtMs, monotonicMs: () => 0 };
    const proposer = new Proposer({
      consensus,
      clock,
      limits: services.context.proposer.limits,
      appliedTerm: () => 0,
      agreedVersion: () => 1,
    });
    for (let i = 0; i < 100; i++) proposer.propose(CommandKind.put, Buffer.from("x"), (answer) => answers.push(answer));
    return proposer;
  };
  life(1_000_000);
  // No start takes less than a millisecond.
  const restarted = life(1_000_001);
  const before = numbers.slice(0, 100);
  const after = numbers.slice(100);
  for (const number of before) restarted.complete(number, EtcdErrors.emptyKey);
  expect(answers).toEqual([]);
  for (const number of after) restarted.complete(number, EtcdErrors.emptyKey);
  expect(answers).toHaveLength(100);
});

it("no result is awaited for a closed call, nor twice", async () => {
  const { context } = (await createHarness()).services;
  const numbers: number[] = [];
  const consensus = {
    ...context.consensus,
    propose: (payload: Uint8Array) => {
      numbers.push(createCommandCodec(self).decode(payload).requestNumber);
      return { accepted: true } as const;
    },
  };
  const clock = { now: () => 0, monotonicMs: () => 0 };
  const { limits } = context.proposer;
  const proposer = new Proposer({ consensus, clock, limits, appliedTerm: () => 0, agreedVersion: () => 1 });
  const call = { open: true };
  for (const asker of [{ caller: null, call }, undefined]) {
    proposer.propose(CommandKind.txn, Buffer.from("x"), () => {}, asker);
  }
  const awaited = (): boolean[] => numbers.map((number) => proposer.isAwaited(number));
  expect(awaited()).toEqual([true, true]);
  call.open = false;
  expect(awaited()).toEqual([false, true]);
  proposer.complete(numbers[1]!, EtcdErrors.emptyKey);
  expect(awaited()).toEqual([false, false]);
});

describe("a command accepted by a leader", () => {
  async function taken() {
    const state = { nowMs: 0, leader: self as string | null, term: 2, appliedTerm: 2 };
    const { context } = (await createHarness()).services;
    const numbers: number[] = [];
    const { decode } = createCommandCodec(self);
    const consensus = {
      ...context.consensus,
      leader: () => state.leader,
      term: () => state.term,
      propose: (payload: Uint8Array) => {
        numbers.push(decode(payload).requestNumber);
        return { accepted: true } as const;
      },
    };
    const clock = { now: () => 0, monotonicMs: () => state.nowMs };
    const { limits } = context.proposer;
    const proposer = new Proposer({
      consensus,
      clock,
      limits,
      appliedTerm: () => state.appliedTerm,
      agreedVersion: () => 1,
    });
    const answers: unknown[] = [];
    proposer.propose(CommandKind.put, Buffer.from("x"), (answer) => answers.push(answer));
    return {
      state,
      answers,
      complete: () => proposer.complete(numbers[0]!, EtcdErrors.emptyKey),
      elapse: (ms: number, change: Partial<typeof state>) => {
        Object.assign(state, change);
        proposer.leaderChanged();
        state.nowMs += ms;
        proposer.tick();
      },
    };
  }

  it("waits while the leader is unreachable, and is answered once it is back", async () => {
    const { elapse, answers, complete } = await taken();
    elapse(3_000, { leader: null });
    elapse(3_000, { leader: self });
    expect(answers).toEqual([]);
    complete();
    expect(answers).toEqual([EtcdErrors.emptyKey]);
  });

  it("waits for the first entry of another leader, which may have it", async () => {
    const { elapse, answers, complete } = await taken();
    elapse(3_000, { leader: null });
    elapse(3_000, { leader: other, term: 4 });
    expect(answers).toEqual([]);
    complete();
    expect(answers).toEqual([EtcdErrors.emptyKey]);
  });

  it("is lost an election timeout after another leader's first entry is applied", async () => {
    const { elapse, answers } = await taken();
    elapse(100, { leader: other, term: 3 });
    elapse(100, { appliedTerm: 3 });
    elapse(900, {});
    expect(answers).toEqual([]);
    elapse(100, {});
    expect(answers).toEqual([EtcdErrors.timeoutLeaderFailure]);
  });

  it.each([
    { title: "no leader is known", change: { leader: null, term: 3 }, error: EtcdErrors.timeout },
    { title: "another member leads", change: { leader: other, term: 3 }, error: EtcdErrors.timeoutLeaderFailure },
  ])("times out only at its deadline, with the cause, when $title", async ({ change, error }) => {
    const { elapse, answers } = await taken();
    elapse(6_999, change);
    expect(answers).toEqual([]);
    elapse(1, {});
    expect(answers).toEqual([error]);
  });
});

it("a command that must not reach a later leader is refused when no leader takes it now", async () => {
  const { context } = (await createHarness()).services;
  const propose = () => ({ accepted: false, reason: "leadershipTransferring" }) as const;
  const { limits } = context.proposer;
  const proposer = new Proposer({
    consensus: { ...context.consensus, propose },
    clock: { now: () => 0, monotonicMs: () => 0 },
    limits,
    appliedTerm: () => 0,
    agreedVersion: () => 1,
  });
  const results: unknown[] = [];
  const done = (result: unknown): void => void results.push(result);
  proposer.propose(CommandKind.txn, Buffer.from("x"), done, { caller: null, call: null, isParked: false });
  expect([results, proposer.pendingCount]).toEqual([[EtcdErrors.notLeader], 0]);
  proposer.propose(CommandKind.txn, Buffer.from("x"), done);
  expect([results.length, proposer.pendingCount]).toEqual([1, 1]);
});
