import { describe, expect, it } from "vitest";
import { createHarness, type Harness, self } from "../../../test/support/single-member.ts";
import { encodePutRequest } from "../api/put.ts";
import { encodeRangeRequest, rangeRequest } from "../api/range.ts";
import { emptyBytes } from "../api/wire.ts";
import { type EtcdError, EtcdErrors } from "../state-machine/etcd-error.ts";

const other = "1111111111111111";
const flags = { prevKv: false, ignoreValue: false, ignoreLease: false };
const putBytes = encodePutRequest({ key: Buffer.from("a"), value: emptyBytes, lease: 0n, ...flags });
const textOf = ({ code, text }: EtcdError): unknown => ({ code, text });

/** A put that consensus accepts and never applies. */
async function lostPut(harness: Harness, meanwhile: () => void): Promise<unknown> {
  harness.consensus.swallowProposals = true;
  const answer = harness.unary("/etcdserverpb.KV/Put", putBytes);
  meanwhile();
  harness.clock.nowMs += 10_000;
  harness.services.tick();
  return (await answer).status;
}

describe("a request that took too long", () => {
  it("reports only a timeout when the leader did not change", async () => {
    const harness = await createHarness();
    expect(await lostPut(harness, () => {})).toEqual(textOf(EtcdErrors.timeout));
    harness.consensus.leader = other;
    harness.consensus.connectedMs.set(other, 60_000);
    expect(await lostPut(harness, () => {})).toEqual(textOf(EtcdErrors.timeout));
  });

  it("reports a lost connection when the connection to the leader is younger than the request", async () => {
    const harness = await createHarness();
    harness.consensus.leader = other;
    harness.consensus.connectedMs.set(other, 2_000);
    expect(await lostPut(harness, () => {})).toEqual(textOf(EtcdErrors.timeoutConnectionLost));
    harness.consensus.connectedMs.delete(other);
    expect(await lostPut(harness, () => {})).toEqual(textOf(EtcdErrors.timeoutConnectionLost));
  });

  it("reports a leader failure when another one was elected meanwhile", async () => {
    const harness = await createHarness();
    const status = await lostPut(harness, () => {
      harness.consensus.leader = other;
      harness.consensus.term++;
      harness.services.leadershipChanged();
    });
    expect(status).toEqual(textOf(EtcdErrors.timeoutLeaderFailure));
  });

  it("reports slow applying when the leader had confirmed the read", async () => {
    const harness = await createHarness();
    harness.consensus.swallowReads = true;
    const answer = harness.unary("/etcdserverpb.KV/Range", encodeRangeRequest(rangeRequest(Buffer.from("a"))));
    await Promise.resolve();
    harness.services.readConfirmed(1, 1_000);
    harness.clock.nowMs += 10_000;
    harness.services.tick();
    expect((await answer).status).toEqual(textOf(EtcdErrors.timeoutWaitingAppliedIndex));
  });

  it("of a leader that lost the majority reports a lost connection", async () => {
    const harness = await createHarness();
    const voters = [self, other, "2222222222222222"];
    harness.services.applyConfiguration(1, 2, { voters: voters, votersOutgoing: [], learners: [] }, emptyBytes);
    expect(await lostPut(harness, () => {})).toEqual(textOf(EtcdErrors.timeoutConnectionLost));
  });
});
