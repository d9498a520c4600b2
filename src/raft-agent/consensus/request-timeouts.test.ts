import { describe, expect, it } from "vitest";
import { createWorld, self, type World } from "../../../test/support/single-member.ts";
import { encodePutRequest } from "../api/put.ts";
import { encodeRangeRequest, rangeRequest } from "../api/range.ts";
import { emptyBytes } from "../api/wire.ts";
import { type EtcdError, EtcdErrors } from "../state-machine/etcd-error.ts";

const other = "1111111111111111";
const flags = { prevKv: false, ignoreValue: false, ignoreLease: false };
const putBytes = encodePutRequest({ key: Buffer.from("a"), value: emptyBytes, lease: 0n, ...flags });
const textOf = ({ code, text }: EtcdError): unknown => ({ code, text });

/** A put that consensus accepts and never applies. */
async function lostPut(world: World, meanwhile: () => void): Promise<unknown> {
  world.consensus.swallowProposals = true;
  const answer = world.unary("/etcdserverpb.KV/Put", putBytes);
  meanwhile();
  world.clock.nowMs += 10_000;
  world.services.tick();
  return (await answer).status;
}

describe("a request that took too long", () => {
  it("reports only a timeout when the leader did not change", async () => {
    const world = await createWorld();
    expect(await lostPut(world, () => {})).toEqual(textOf(EtcdErrors.timeout));
    world.consensus.leader = other;
    world.consensus.connectedMs.set(other, 60_000);
    expect(await lostPut(world, () => {})).toEqual(textOf(EtcdErrors.timeout));
  });

  it("reports a lost connection when the connection to the leader is younger than the request", async () => {
    const world = await createWorld();
    world.consensus.leader = other;
    world.consensus.connectedMs.set(other, 2_000);
    expect(await lostPut(world, () => {})).toEqual(textOf(EtcdErrors.timeoutConnectionLost));
    world.consensus.connectedMs.delete(other);
    expect(await lostPut(world, () => {})).toEqual(textOf(EtcdErrors.timeoutConnectionLost));
  });

  it("reports a leader failure when another one was elected meanwhile", async () => {
    const world = await createWorld();
    const status = await lostPut(world, () => {
      world.consensus.leader = other;
      world.consensus.term++;
      world.services.leadershipChanged();
    });
    expect(status).toEqual(textOf(EtcdErrors.timeoutLeaderFailure));
  });

  it("reports slow applying when the leader had confirmed the read", async () => {
    const world = await createWorld();
    world.consensus.swallowReads = true;
    const answer = world.unary("/etcdserverpb.KV/Range", encodeRangeRequest(rangeRequest(Buffer.from("a"))));
    await Promise.resolve();
    world.services.readConfirmed(1, 1_000);
    world.clock.nowMs += 10_000;
    world.services.tick();
    expect((await answer).status).toEqual(textOf(EtcdErrors.timeoutWaitingAppliedIndex));
  });

  it("of a leader that lost the majority reports a lost connection", async () => {
    const world = await createWorld();
    const founders = [self, other, "2222222222222222"];
    world.services.applyConfiguration(1, 2, { voters: founders, votersOutgoing: [], learners: [] }, emptyBytes);
    expect(await lostPut(world, () => {})).toEqual(textOf(EtcdErrors.timeoutConnectionLost));
  });
});
