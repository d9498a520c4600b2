import { describe, expect, it } from "vitest";
import { FirstElection } from "./first-election.ts";

type World = { voters: readonly string[]; connected: readonly string[]; leader: string | null };

function firstElection(self: string, world: World, preVote = true): { consider(): void; campaigned(): number } {
  let campaigned = 0;
  const view = {
    self,
    preVote,
    voters: () => world.voters,
    isConnected: (peer: string) => world.connected.includes(peer),
    leader: () => world.leader,
  };
  const election = new FirstElection(view, () => (campaigned += 1));
  return { consider: () => election.consider(), campaigned: () => campaigned };
}

const three = ["a", "b", "c"];

describe("the first election", () => {
  it.each<[string, string, Omit<World, "leader">, number]>([
    ["the only voter", "a", { voters: ["a"], connected: [] }, 1],
    ["the lowest of all", "a", { voters: three, connected: ["b", "c"] }, 1],
    ["the lowest of a majority", "b", { voters: three, connected: ["c"] }, 1],
    ["one connected to a lower one", "b", { voters: three, connected: ["a"] }, 0],
    ["one alone", "a", { voters: three, connected: [] }, 0],
    ["half of an even number", "a", { voters: [...three, "d"], connected: ["b"] }, 0],
    ["one connected to learners only", "a", { voters: three, connected: ["x", "y"] }, 0],
    ["a learner", "x", { voters: three, connected: three }, 0],
  ])("is started by the right member: %s", (_who, self, world, campaigns) => {
    const election = firstElection(self, { ...world, leader: null });
    election.consider();
    expect(election.campaigned()).toBe(campaigns);
  });

  it.each([
    [1, ["a"], 1],
    [3, three, 0],
  ])("without a pre-vote is started early by a lone voter only: one of %i", (_size, voters, campaigns) => {
    const election = firstElection("a", { voters, connected: three, leader: null }, false);
    election.consider();
    expect(election.campaigned()).toBe(campaigns);
  });

  it("waits for a majority, and is started once", () => {
    const world: World = { voters: three, connected: [], leader: null };
    const election = firstElection("a", world);
    election.consider();
    expect(election.campaigned()).toBe(0);
    world.connected = ["b"];
    election.consider();
    election.consider();
    expect(election.campaigned()).toBe(1);
  });

  it("is over once there is a leader", () => {
    const world: World = { voters: three, connected: ["b"], leader: "b" };
    const election = firstElection("a", world);
    election.consider();
    world.leader = null;
    election.consider();
    expect(election.campaigned()).toBe(0);
  });
});
