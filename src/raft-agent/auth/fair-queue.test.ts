import { describe, expect, it } from "vitest";
import { FairQueue } from "./fair-queue.ts";

function filled(sizeMax: number, items: string): FairQueue<string> {
  const queue = new FairQueue<string>(sizeMax);
  for (const item of items.split(" ")) {
    const [user = "", connection = ""] = item;
    queue.push({ user, connection }, item);
  }
  return queue;
}

describe("FairQueue", () => {
  it.each([
    ["a1x a1y a1z", "a1x a1y a1z"],
    ["a1x a1y a1z b1x", "a1x b1x a1y a1z"],
    ["a1x a1y a2x a2y a1z", "a1x a2x a1y a2y a1z"],
    ["a1x a1y a2x b1x b1y b2x", "a1x b1x a2x b2x a1y b1y"],
  ])("gives users, and their connections, turns: %s is served as %s", (pushed, served) => {
    expect(filled(10, pushed).takeAll().join(" ")).toBe(served);
  });

  it.each([
    ["a1w a1x a1y", "b1x", "a1y"],
    ["a1x a1y a2x", "a3x", "a1y"],
    ["a1x b1x c1x", "d1x", "d1x"],
    ["a1x a1y b1x", "a1z", "a1z"],
  ])("with %s, and full, takes %s and drops %s", (pushed, item, dropped) => {
    const queue = filled(3, pushed);
    expect(queue.push({ user: item[0]!, connection: item[1]! }, item)).toBe(dropped);
    expect(queue.size).toBe(3);
  });
});
