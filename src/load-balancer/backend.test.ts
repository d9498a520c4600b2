import { describe, expect, it } from "vitest";
import { type Backend, type BackendState, chooseBackend, createBackend, mustShed, recordOutcome } from "./backend.ts";

const ready = { kind: "ready" } as const;
const stopping = { kind: "stopping", reason: "/readyz answered 404" } as const;
const alive = { kind: "alive", reason: "/readyz answered 503" } as const;
const silent = { kind: "dead", certain: false, reason: "did not answer in time" } as const;
const refused = { kind: "dead", certain: true, reason: "connection refused" } as const;

function backend(name: string, state: BackendState = "ready", connections = 0): Backend {
  return { ...createBackend({ name, address: "127.77.18.1", port: 1 }), state, connections };
}

describe("a backend", () => {
  it.each([
    ["unchecked", [ready], "ready"],
    ["unchecked", [alive], "alive"],
    ["unchecked", [silent], "dead"],
    ["ready", [alive], "ready"],
    ["ready", [alive, alive], "alive"],
    ["ready", [silent], "ready"],
    ["ready", [silent, alive], "alive"],
    ["ready", [silent, silent], "dead"],
    ["ready", [refused], "dead"],
    ["ready", [alive, ready, alive], "ready"],
    ["dead", [ready], "dead"],
    ["dead", [ready, ready], "ready"],
    ["dead", [ready, silent, ready], "dead"],
    ["dead", [alive], "alive"],
    ["alive", [ready, ready], "ready"],
    ["alive", [refused], "dead"],
    ["ready", [stopping], "stopping"],
    ["stopping", [refused], "dead"],
    ["stopping", [ready], "stopping"],
    ["stopping", [ready, ready], "ready"],
  ] as const)("that is %s and then answers %j is %s", (before, outcomes, after) => {
    const one = backend("m1", before);
    for (const outcome of outcomes) recordOutcome(one, outcome, [one]);
    expect(one.state).toBe(after);
  });

  it("that is not ready keeps its connections until another has been ready for two probes", () => {
    const one = backend("m1");
    const two = backend("m2", "alive");
    const pool = [one, two];
    for (let i = 0; i < 5; i++) recordOutcome(one, alive, pool);
    expect([one.state, mustShed(one)]).toEqual(["alive", false]);
    two.state = "ready";
    recordOutcome(one, alive, pool);
    expect(mustShed(one)).toBe(false);
    recordOutcome(one, alive, pool);
    expect(mustShed(one)).toBe(true);
  });

  it("T11: that is stopping finishes its calls, also when nothing listens there any more", () => {
    const one = backend("m1");
    const two = backend("m2");
    for (let i = 0; i < 5; i++) recordOutcome(one, stopping, [one, two]);
    for (let i = 0; i < 5; i++) recordOutcome(one, refused, [one, two]);
    expect([one.state, mustShed(one)]).toEqual(["dead", false]);
    for (let i = 0; i < 20; i++) recordOutcome(one, refused, [one, two]);
    expect(mustShed(one)).toBe(true);
  });

  it("that is dead sheds its connections at once", () => {
    const one = backend("m1");
    recordOutcome(one, refused, [one]);
    expect(mustShed(one)).toBe(true);
  });
});

describe("choosing", () => {
  const names = (pool: Backend[], tried: Backend[], previous: Backend | null): string | undefined =>
    chooseBackend(pool, new Set(tried), previous)?.name;

  it("takes the ready backend with the fewest connections", () => {
    const pool = [backend("m1", "ready", 2), backend("m2", "ready", 1), backend("m3", "alive", 0)];
    expect(names(pool, [], null)).toBe("m2");
    expect(names(pool, [pool[1]!], null)).toBe("m1");
    expect(names(pool, [pool[0]!, pool[1]!], null)).toBe("m3");
  });

  it("lets equals take turns", () => {
    const pool = [backend("m1"), backend("m2"), backend("m3")];
    expect(names(pool, [], pool[0]!)).toBe("m2");
    expect(names(pool, [], pool[2]!)).toBe("m1");
  });

  it("falls back to those that are alive or unknown, never to the dead", () => {
    expect(names([backend("m1", "dead"), backend("m2", "alive")], [], null)).toBe("m2");
    expect(names([backend("m1", "dead"), backend("m2", "unchecked")], [], null)).toBe("m2");
    expect(names([backend("m1", "dead")], [], null)).toBeUndefined();
    expect(names([], [], null)).toBeUndefined();
    expect(names([backend("m1", "stopping"), backend("m2", "alive", 3)], [], null)).toBe("m2");
    expect(names([backend("m1", "stopping"), backend("m2", "dead")], [], null)).toBe("m1");
  });
});
