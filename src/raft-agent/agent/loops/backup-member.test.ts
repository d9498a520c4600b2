import { describe, expect, it } from "vitest";
import { backupMember } from "./backup-member.ts";

const chosen = (
  self: string,
  { voters = ["a", "b", "c"], leader = "a", connected = ["a", "b", "c"], interval = 0 },
): string => backupMember({ interval, self, voters, leader, isConnected: (member) => connected.includes(member) });

describe("the member that takes a backup", () => {
  it("is a follower, each in turn, and the same one for all members", () => {
    const turns = [0, 1, 2, 3].map((interval) => ["a", "b", "c"].map((self) => chosen(self, { interval })));
    expect(turns).toEqual(["b", "c", "b", "c"].map((member) => [member, member, member]));
  });

  it.each([
    ["the follower that is left when another one is gone", "b", { connected: ["a", "b"], interval: 1 }, "b"],
    ["this one, which has no connection with itself", "c", { connected: ["a", "b"], interval: 1 }, "c"],
    ["the leader when it reaches no follower", "a", { connected: [] as string[] }, "a"],
    ["the only member", "a", { voters: ["a"] }, "a"],
    ["never a learner", "d", { interval: 2 }, "b"],
    ["not the leader, whichever it is", "a", { leader: "c", interval: 1 }, "b"],
  ])("is %s", (_, self, situation, member) => {
    expect(chosen(self, situation)).toBe(member);
  });
});
