import { describe, expect, it } from "vitest";
import { computeClusterId, computeMemberId, validateUrls } from "./member-id.ts";
import { decodeMembershipContext, encodeMembershipContext, Membership } from "./membership.ts";

const hex = (decimal: string): string => BigInt(decimal).toString(16).padStart(16, "0");
const initialMember = { id: "a", name: "m1", peerUrls: ["http://a:1"], clientUrls: [], learner: false };

describe("member ids", () => {
  it("match those of etcd 3.4.23 for the same initial cluster", () => {
    const id = computeMemberId(["http://127.77.15.9:23800"], "etcd-cluster");
    expect(id).toBe(hex("6893272240770462409"));
    expect(computeClusterId([id])).toBe(hex("12537927165040810387"));
  });

  it("differ for a reused URL", () => {
    const urls = ["http://127.0.0.1:2380"];
    expect(computeMemberId(urls, "t", 1_000)).not.toBe(computeMemberId(urls, "t", 2_000));
    expect(computeMemberId(urls, "t", 1_000)).toBe(computeMemberId(urls, "t", 1_999));
  });

  const urls: [string, boolean][] = [
    ["http://10.0.0.1:2380", true],
    ["https://[::1]:2380", true],
    ["unix://localhost:12345", true],
    ["10.0.0.1:2380", false],
    ["ftp://10.0.0.1:2380", false],
    ["http://10.0.0.1", false],
    ["http://10.0.0.1:2380/path", false],
  ];
  for (const [url, valid] of urls) {
    it(`${valid ? "accept" : "reject"} the URL ${url}`, () => expect(validateUrls([url]) === null).toBe(valid));
  }
});

describe("membership", () => {
  it("adds learners, promotes them, and permanently removes members that the configuration no longer names", () => {
    const membership = new Membership();
    membership.replace([initialMember], [], { voters: ["a"], votersOutgoing: [], learners: [] });
    const added = [
      { id: "b", peerUrls: ["http://b:1"], learner: true },
      { id: "c", peerUrls: ["http://c:1"], learner: false },
    ];
    const context = decodeMembershipContext(encodeMembershipContext({ added }));
    membership.change({ voters: ["a"], votersOutgoing: [], learners: ["b", "c"] }, context);
    expect(membership.list().map(({ id, learner }) => [id, learner])).toEqual([
      ["a", false],
      ["b", true],
      ["c", false],
    ]);
    expect(membership.pendingVoters()).toEqual(["c"]);
    const joint = { voters: ["b", "c"], votersOutgoing: ["a"], learners: [] };
    expect(membership.change(joint, { added: [] }).removed).toEqual([]);
    expect(membership.get("a")).toBeDefined();
    const done = membership.change({ ...joint, votersOutgoing: [] }, { added: [] });
    expect(done.removed).toEqual(["a"]);
    expect(membership.isRemoved("a")).toBe(true);
    membership.change({ voters: ["b"], votersOutgoing: [], learners: ["c"] }, { added: [{ ...initialMember }] });
    expect(membership.get("a")).toBeUndefined();
    expect(membership.isReportedAsLearner("c")).toBe(true);
  });
});
