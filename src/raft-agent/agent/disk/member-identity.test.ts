import { describe, expect, it } from "vitest";
import type { Member } from "../../state-machine/membership.ts";
import { assertFirstStart, joinCluster } from "./member-identity.ts";

const clusterId = "00000000000000cc";
const config = { name: "m3", advertisePeerUrls: ["https://127.0.1.3:2380"] };

function member(id: number, name: string, host: number, learner = false): Member {
  const peerUrls = [`https://127.0.1.${host}:2380`];
  return { id: id.toString(16).padStart(16, "0"), name, peerUrls, clientUrls: [], learner };
}

describe("a member that joins", () => {
  it("is the one that was added at its peer URL", () => {
    const members = [member(1, "m1", 1), member(9, "", 3, true)];
    expect(joinCluster(config, { clusterId, members })).toEqual({
      memberId: "0000000000000009",
      clusterId,
      founder: false,
    });
  });

  // Otherwise a member that has lost its log could vote again in terms in which it has already voted.
  it.each([
    ["before", 5],
    ["behind", 15],
  ])("is never the dead member that it replaces, which is listed %s it", (_where, deadId) => {
    const members = [member(1, "m1", 1), member(deadId, "m3", 3), member(9, "", 3, true)];
    expect(joinCluster(config, { clusterId, members }).memberId).toBe("0000000000000009");
    expect(joinCluster(config, { clusterId, members: members.toReversed() }).memberId).toBe("0000000000000009");
  });

  it("is rejected while only a started member has its peer URL, even one with its name", () => {
    const members = [member(1, "m1", 1), member(5, "m3", 3)];
    expect(() => joinCluster(config, { clusterId, members })).toThrow(/has started before as "m3".*add a new one/);
  });

  it("is rejected when it was not added", () => {
    expect(() => joinCluster(config, { clusterId, members: [member(1, "m1", 1)] })).toThrow(/add the member first/);
  });
});

describe("an initial member without a log", () => {
  const identity = { memberId: "0000000000000005", clusterId, founder: true };
  const answer = (name: string): { clusterId: string; members: Member[] } => ({
    clusterId,
    members: [member(1, "m1", 1), member(5, name, 3)],
  });

  it("starts when no member responds, or none has ever seen it, or another cluster responds", () => {
    expect(() => assertFirstStart(identity, [])).not.toThrow();
    expect(() => assertFirstStart(identity, [answer("")])).not.toThrow();
    expect(() => assertFirstStart(identity, [{ ...answer("m3"), clusterId: "00000000000000dd" }])).not.toThrow();
  });

  it("is rejected when one member knows that it has started before", () => {
    expect(() => assertFirstStart(identity, [answer(""), answer("m3")])).toThrow(
      /"m3".*its log is gone.*add it as a new/,
    );
  });
});
