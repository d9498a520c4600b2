/** haplan.v1 from the tool's side, with agents of this release and of the one before. */
import { describe, expect, it } from "vitest";
import { createHarness, self } from "../../test/support/single-member.ts";
import { EtcdClient } from "../etcd-client/etcd-client.ts";
import { GrpcError } from "../etcd-client/grpc-error.ts";
import { StatusCode } from "../raft-agent/api/status-code.ts";
import { agentConfiguration, changeMembers, drainMember } from "./haplan-calls.ts";
import { probeMember } from "./member-probe.ts";

const other = "1111111111111111";
const timeoutMs = 1_000;

type Ask = (path: string, request: Uint8Array) => Promise<Uint8Array>;

function clientOver(ask: Ask): EtcdClient {
  return new EtcdClient({
    unary: ask,
    stream: () => Promise.reject(new Error("no streams here")),
    close: () => Promise.resolve(),
  });
}

async function agentOfThisRelease(): Promise<Ask> {
  const harness = await createHarness();
  const { membership } = harness.services.machine;
  membership.change({ voters: [self], votersOutgoing: [], learners: [other] }, { added: [] });
  return async (path, request) => {
    const { status, messages } = await harness.unary(path, request);
    if (status!.code !== StatusCode.ok) throw new GrpcError(status!.code, status!.text);
    return messages[0]!;
  };
}

/** Reads JSON, or nothing at all, and refuses the rest, as the release before does. */
async function agentOfReleaseBefore(): Promise<Ask> {
  const ask = await agentOfThisRelease();
  return (path, request) => {
    const text = Buffer.from(request).toString();
    if (text === "") return ask(path, Buffer.from("{}"));
    if (!text.startsWith("{")) {
      throw new GrpcError(StatusCode.internal, "grpc: error unmarshalling request: the message is not JSON");
    }
    return ask(path, request);
  };
}

describe.each([
  ["of this release", agentOfThisRelease],
  ["of the release before", agentOfReleaseBefore],
])("an agent %s", (_name, start) => {
  it("tells its configuration", async () => {
    const client = clientOver(await start());
    const configuration = await agentConfiguration(client, timeoutMs);
    expect(configuration).toEqual({ voters: [self], votersOutgoing: [], learners: [other], index: 0, heard: [self] });
  });

  it("changes its members, and drains", async () => {
    const client = clientOver(await start());
    const changed = await changeMembers(client, { voters: [self], learners: [] }, timeoutMs);
    expect(changed).toEqual({ voters: [self], votersOutgoing: [], learners: [] });
    await expect(drainMember(client, timeoutMs)).rejects.toThrow("no other voter is connected");
  });
});

describe("an agent that is too new", () => {
  it("is not taken for an etcd: its answer is refused, and the error says which haplan to use", async () => {
    const current = await agentOfThisRelease();
    const ask: Ask = (path, request) =>
      path.endsWith("/Facts") ? Promise.resolve(Buffer.from("<facts/>")) : current(path, request);
    await expect(probeMember("http://127.0.0.1:1", clientOver(ask), timeoutMs)).rejects.toMatchObject({
      code: "control-plane/unknown-answer",
      message: expect.stringMatching(/the agent's answer to Facts: .*Use the haplan of the agents' release/),
    });
  });
});
