import { describe, expect, it } from "vitest";
import { FairQueue } from "./fair-queue.ts";

/** `a1x` is the item x of user a on connection 1. */
const sharesOf = (item: string): string[] => [...item.slice(0, 2)];

function filled(sizeMax: number, items: string): FairQueue<string> {
  const queue = new FairQueue<string>(sizeMax);
  for (const item of items.split(" ")) {
    queue.push(sharesOf(item), item);
  }
  return queue;
}

describe("FairQueue", () => {
  it.each([
    ["a1x a1y a1z", "a1x a1y a1z"],
    ["a1x a1y a1z b1x", "b1x a1x a1y a1z"],
    ["a1x b1x c1x", "c1x b1x a1x"],
    ["a1x a1y a2x a2y a1z", "a2x a1x a2y a1y a1z"],
    ["a1x a1y a2x b1x b1y b2x", "b2x a2x b1x a1x b1y a1y"],
  ])("alternates users, and their connections: %s is served as %s", (pushed, served) => {
    expect(filled(10, pushed).takeAll().join(" ")).toBe(served);
  });

  it.each([
    ["a1w a1x a1y", "b1x", "a1y"],
    ["a1x a1y a2x", "a3x", "a1y"],
    ["a1x b1x c1x", "d1x", "a1x"],
    ["a1x a1y b1x", "a1z", "a1z"],
  ])("full with %s, accepts %s and drops %s", (pushed, item, dropped) => {
    const queue = filled(3, pushed);
    expect(queue.push(sharesOf(item), item)).toBe(dropped);
    expect(queue.size).toBe(3);
  });

  it("drops the item that would wait longest when it is full: one of a share that was served", () => {
    const queue = filled(4, "a1x b1x b1y c1x");
    expect([queue.shift(), queue.shift()]).toEqual(["c1x", "b1x"]);
    queue.push(sharesOf("d1x"), "d1x");
    queue.push(sharesOf("e1x"), "e1x");
    expect(queue.push(sharesOf("f1x"), "f1x")).toBe("b1y");
    expect(queue.takeAll()).toEqual(["f1x", "e1x", "d1x", "a1x"]);
  });
});
