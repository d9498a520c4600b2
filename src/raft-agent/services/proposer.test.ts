import { expect, it } from "vitest";
import { CommandKind, createCommandCodec } from "../state-machine/command.ts";
import { EtcdErrors } from "../state-machine/etcd-error.ts";
import { Proposer } from "./proposer.ts";
import { createWorld, SELF } from "./single-member-world.ts";

// `request-numbers-reused-after-restart` among the bugs that the simulator plants.
it("a restarted member does not take an entry of its former life for the answer to a new request", async () => {
  const { services } = await createWorld();
  const { decode } = createCommandCodec(SELF);
  const numbers: number[] = [];
  const consensus = {
    ...services.context.consensus,
    memberId: SELF,
    leader: () => SELF,
    propose: (payload: Uint8Array) => {
      numbers.push(decode(payload).requestNumber);
      return { accepted: true } as const;
    },
  };
  const answers: unknown[] = [];
  const life = (startedAtMs: number): Proposer => {
    const clock = { now: () => startedAtMs, monotonicMs: () => 0 };
    const proposer = new Proposer(consensus, clock, services.context.proposer.limits);
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
