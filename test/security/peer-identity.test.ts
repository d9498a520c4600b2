import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { GuardedMember, type Holder, resolveEveryName, until } from "./guarded-member.ts";

describe("A3: the peer port, where every name resolves,", () => {
  let member: GuardedMember;
  let restoreNames = (): void => {};
  beforeAll(async () => {
    restoreNames = resolveEveryName();
    member = await GuardedMember.start();
  });
  afterAll(async () => {
    restoreNames();
    await member.stop();
  });

  const unknown = "00000000000000ee";
  it.each<[Holder, "m2" | "m4" | typeof unknown, RegExp]>([
    ["worker", unknown, /is a client's: a member's also has the extended key usage serverAuth/],
    ["worker", "m2", /is a client's/],
    ["balancer", "m2", /is a client's/],
    ["admin", "m2", /is a client's/],
    ["m4", "m4", /member [0-9a-f]{16} has been removed from the cluster/],
    [
      "m4",
      "m2",
      /it claims to be member [0-9a-f]{16}, but its certificate is for IP Address:127\.77\.61\.4, .*, and not for 127\.77\.61\.2/,
    ],
    ["m4", unknown, /member 00000000000000ee is unknown here and to all known members/],
    ["m2", unknown, /member 00000000000000ee is unknown here/],
    [
      "m1",
      "m2",
      /it claims to be member [0-9a-f]{16}, but its certificate is for IP Address:127\.77\.61\.1, .*, and not for 127\.77\.61\.2/,
    ],
  ])("rejects the certificate of %s from a caller that claims to be %s", async (holder, claimed, why) => {
    const { refusal, transport } = await member.callAs(holder, claimed === unknown ? unknown : member.ids[claimed]);
    await transport.close();
    expect(refusal).toMatch(why);
    // Once for the same reason within a second, however many callers there are at an address.
    await until(() =>
      member.logs.some((line) => why.test(line) && line.includes("rejected connection on peer endpoint")),
    );
  });

  it("accepts a member's certificate for that member", async () => {
    const { refusal, transport } = await member.callAs("m2", member.ids.m2);
    await transport.close();
    expect(refusal).toBeNull();
  });

  it.each<[Holder, boolean]>([
    ["none", false],
    ["worker", false],
    ["balancer", false],
    ["admin", false],
    ["m4", false],
    ["m2", true],
  ])("over HTTP, discloses the membership to %s: %s", async (holder, isTold) => {
    expect((await member.askOverHttp(holder, "/members")) !== null).toBe(isTold);
  });
});
