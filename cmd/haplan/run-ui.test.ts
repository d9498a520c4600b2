/** `haplan ui` as whole command lines: it serves what status, events and plan compute, until it is stopped. */
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type CliFixture, createCliFixture, unstoppable } from "../../test/support/command-line.ts";

let cli: CliFixture;
beforeEach(() => {
  cli = createCliFixture();
});
afterEach(() => cli.remove());

/** Runs `ui` with these words until `visit` is done; returns what it printed. */
async function served(words: string, visit: (url: string) => Promise<void>): Promise<string> {
  cli.stop = unstoppable();
  const printed: string[] = [];
  const run = cli.haplan(`ui ${words} -interval=200ms`, null, (text) => printed.push(text));
  while (!printed.join("\n").includes("http:")) await new Promise((resolve) => setTimeout(resolve, 2));
  await visit(/http:\S+/.exec(printed.join("\n"))![0]);
  cli.stop.receive("SIGINT");
  expect((await run).code).toBe(0);
  return printed.join("\n");
}

async function json<Document>(url: string): Promise<Document> {
  return (await (await fetch(url)).json()) as Document;
}

describe("ui", () => {
  it("serves the status with what may fail next, the timeline and a plan of the spec as its file is now", async () => {
    expect((await cli.haplan("apply three.yaml -auto-approve")).code).toBe(0);
    await served("three.yaml", async (url) => {
      const until = async <Document>(path: string, holds: (document: Document) => boolean): Promise<Document> => {
        for (;;) {
          const document = await json<Document>(`${url}${path}`);
          if (holds(document)) return document;
        }
      };
      type Status = { can_lose?: number; possible_failures: { subject: string }[] };
      const status = await until<Status>("status.json", ({ can_lose }) => can_lose !== undefined);
      expect(status.possible_failures.map(({ subject }) => subject)).toEqual(["m1", "m2", "m3", "load balancer"]);
      const { items } = await until<{ items: { text: string }[] }>("timeline.json", (found) => found.items.length > 0);
      expect(items.map(({ text }) => text).join()).toContain("is complete");
      expect(await json(`${url}plan.json`)).toMatchObject({ has_changes: false, path: null });
      expect((await fetch(`${url}saved-plan.json`)).status).toBe(404);
    });
  });

  it("serves a saved plan beside the cluster", async () => {
    expect((await cli.haplan("plan three.yaml -out=saved.plan")).code).toBe(0);
    await served("saved.plan", async (url) => {
      const document = await json<{ plan: { haplan: { quorum: object[] } } }>(`${url}saved-plan.json`);
      expect(document).toMatchObject({ path: "saved.plan", has_changes: true });
      expect(document.plan.haplan.quorum.length).toBeGreaterThan(1);
    });
  });

  it("serves a plan that is refused as diagnostics", async () => {
    await served("three.yaml", async (url) => {
      writeFileSync(`${cli.cwd}/three.yaml`, "kind: Cluster\n");
      const { refused } = await json<{ refused: { valid: boolean; diagnostics: object[] } }>(`${url}plan.json`);
      expect(refused.valid).toBe(false);
      expect(refused.diagnostics.length).toBeGreaterThan(0);
    });
  });

  it.each([
    ["-port=http", "-port=http is not a port"],
    ["-port=70000", "-port=70000 is not a port"],
    ["-interval=1ms", "-interval=1ms is too short"],
  ])("refuses %s", async (flag, summary) => {
    const { code, err } = await cli.haplan(`ui three.yaml ${flag}`);
    expect({ code, err }).toMatchObject({ code: 1, err: expect.stringContaining(summary) });
  });

  it("names a port that is taken", async () => {
    const other = createServer().listen(0, "127.0.0.1");
    await once(other, "listening");
    const { code, err } = await cli.haplan(`ui three.yaml -port=${(other.address() as AddressInfo).port}`);
    expect({ code, err }).toMatchObject({ code: 1, err: expect.stringContaining("cannot be used") });
    other.close();
  });
});
