/** An initial member that starts after the others have written: until it has caught up its own store is empty. */
import { afterEach, beforeEach, expect, it } from "vitest";
import { AgentsInProcess } from "./agents-in-process.ts";

let members: AgentsInProcess;

beforeEach(async () => {
  members = await AgentsInProcess.prepare("127.77.25.202");
});

afterEach(() => members.remove());

it("A20: answers no serializable read and no Status before it has what the others wrote", async () => {
  await Promise.all([0, 1].map((at) => members.start(at)));
  await members.writeThrough(0);
  for (const at of [0, 1]) await members.stop(at);

  await members.start(2);
  const [, , late] = members.clients;
  const [read, status] = [late!.range("written", { serializable: true }), late!.maintenance.status()];
  const tooEarly = await Promise.race([
    Promise.any([read, status]).then(
      () => "an answer",
      () => "an error",
    ),
    new Promise((resolve) => setTimeout(() => resolve("none"), 300)),
  ]);
  expect(tooEarly).toBe("none");

  await Promise.all([0, 1].map((at) => members.start(at)));
  expect((await read).count).toBe(1);
  expect((await status).revision).toBeGreaterThanOrEqual(2);
});
