import { describe, expect, it } from "vitest";
import { FirstElection } from "./first-election.ts";

type World = { voters: readonly string[]; connected: readonly string[]; leader: string | null };

function firstElection(self: string, world: World, preVote = true): { consider(): void; stood(): number } {
  let stood = 0;
  const view = {
    self,
    preVote,
    voters: () => world.voters,
    isConnected: (peer: string) => world.connected.includes(peer),
    leader: () => world.leader,
  };
  const election = new FirstElection(view, () => (stood += 1));
  return { consider: () => election.consider(), stood: () => stood };
}

const three = ["a", "b", "c"];

describe("the first election", () => {
  it.each<[string, string, Omit<World, "leader">, number]>([
    ["the only voter", "a", { voters: ["a"], connected: [] }, 1],
    ["the lowest of all", "a", { voters: three, connected: ["b", "c"] }, 1],
    ["the lowest of a majority", "b", { voters: three, connected: ["c"] }, 1],
    ["one that has found a lower one", "b", { voters: three, connected: ["a"] }, 0],
    ["one alone", "a", { voters: three, connected: [] }, 0],
    ["half of an even number", "a", { voters: [...three, "d"], connected: ["b"] }, 0],
    ["one that has found learners only", "a", { voters: three, connected: ["x", "y"] }, 0],
    ["a learner", "x", { voters: three, connected: three }, 0],
  ])("is begun by the right one: %s", (_who, self, world, stands) => {
    const election = firstElection(self, { ...world, leader: null });
    election.consider();
    expect(election.stood()).toBe(stands);
  });

  it.each([
    [1, ["a"], 1],
    [3, three, 0],
  ])("without a pre-vote is begun early by a lone voter only: one of %i", (_size, voters, stands) => {
    const election = firstElection("a", { voters, connected: three, leader: null }, false);
    election.consider();
    expect(election.stood()).toBe(stands);
  });

  it("waits for a majority, and is begun once", () => {
    const world: World = { voters: three, connected: [], leader: null };
    const election = firstElection("a", world);
    election.consider();
    expect(election.stood()).toBe(0);
    world.connected = ["b"];
    election.consider();
    election.consider();
    expect(election.stood()).toBe(1);
  });

  it("is over for good once somebody leads", () => {
    const world: World = { voters: three, connected: ["b"], leader: "b" };
    const election = firstElection("a", world);
    election.consider();
    world.leader = null;
    election.consider();
    expect(election.stood()).toBe(0);
  });
});
