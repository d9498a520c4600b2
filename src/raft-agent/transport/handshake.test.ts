/** Greetings between members of different releases. */
import { describe, expect, it } from "vitest";
import {
  checkHello,
  commonVersion,
  decodeHello,
  decodeReply,
  encodeHello,
  encodeReply,
  explainRejection,
  HandshakeStatus,
  Purpose,
  supportedVersions,
  type VersionRange,
} from "./handshake.ts";

const firstVersion = { lowest: 1, highest: 1 };

const [caller, answerer, clusterId] = ["00000000000000aa", "00000000000000bb", "00000000000000cc"];
const greeting = {
  purpose: Purpose.messages,
  acceptsMessages: true,
  clusterId,
  from: caller,
  to: answerer,
  urls: ["http://127.77.1.1:2380"],
};
const judged = (versions: VersionRange): HandshakeStatus => {
  const { hello } = decodeHello(encodeHello(greeting, versions))!;
  return checkHello(hello, { clusterId, self: answerer, isRemoved: () => false });
};

it("a member of a cluster that was replaced is told so, whatever member it calls", () => {
  const own = { clusterId: "00000000000000dd", self: answerer, isRemoved: () => false };
  const { hello } = decodeHello(encodeHello({ ...greeting, to: "00000000000000ee" }))!;
  expect(checkHello(hello, own)).toBe(HandshakeStatus.wrongCluster);
  const status = checkHello(hello, { ...own, hasReplaced: (id) => id === clusterId });
  expect(status).toBe(HandshakeStatus.replaced);
  const reply = { versions: supportedVersions, clusterId: own.clusterId, member: answerer };
  expect(explainRejection(status, hello, reply)).toBe(
    "cluster 00000000000000cc was replaced by cluster 00000000000000dd, in a restore or a recovery: member 00000000000000aa is no member of it",
  );
});

describe("protocol versions", () => {
  it.each<[string, VersionRange, VersionRange, number | null]>([
    ["the same one", { lowest: 1, highest: 1 }, { lowest: 1, highest: 1 }, 1],
    ["a release and the previous one", { lowest: 1, highest: 1 }, { lowest: 1, highest: 2 }, 1],
    ["two releases that support both", { lowest: 1, highest: 2 }, { lowest: 1, highest: 2 }, 2],
    ["a release and the one before the previous one", { lowest: 1, highest: 1 }, { lowest: 2, highest: 3 }, null],
  ])("%s", (_, one, other, common) => {
    expect(commonVersion(one, other)).toBe(common);
    expect(commonVersion(other, one)).toBe(common);
  });

  it("are exchanged in both directions, and a release that supports one more is accepted", () => {
    const versions = { lowest: 1, highest: 2 };
    expect(decodeHello(encodeHello(greeting, versions))!.hello).toEqual({ ...greeting, versions });
    const reply = { status: HandshakeStatus.accepted, clusterId, member: answerer, reason: "" };
    expect(decodeReply(encodeReply(reply, versions))).toEqual({ ...reply, versions });
    expect(judged(versions)).toBe(HandshakeStatus.accepted);
  });

  it("keep the greeting of a member that supports one version as in the first release", () => {
    const bytes = Buffer.from(encodeHello(greeting, firstVersion));
    expect(bytes.subarray(0, 12).toString("hex")).toBe(`f5${Buffer.from("haplan\n").toString("hex")}01000001`);
    expect(
      Buffer.from(encodeReply({ status: 0, clusterId, member: answerer }, firstVersion))
        .subarray(8, 12)
        .toString("hex"),
    ).toBe("01000000");
  });

  it("without a common one are rejected, naming both", () => {
    const versions = { lowest: supportedVersions.highest + 1, highest: supportedVersions.highest + 3 };
    expect(judged(versions)).toBe(HandshakeStatus.wrongVersion);
    const own = { versions: firstVersion, clusterId, member: answerer };
    expect(
      explainRejection(HandshakeStatus.wrongVersion, { versions, clusterId, from: caller, to: answerer }, own),
    ).toBe(
      `protocol version mismatch: member ${caller} supports versions ${versions.lowest} to ${versions.highest}, member ${answerer} version 1`,
    );
  });
});
