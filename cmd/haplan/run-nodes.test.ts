import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type CliFixture, type CliRun, createCliFixture } from "../../test/support/command-line.ts";
import { createPaint } from "./paint.ts";
import { StopRequests } from "./stop-requests.ts";
import { createLogView } from "./views/log-view.ts";

let cli: CliFixture;
beforeEach(() => {
  cli = createCliFixture();
});
afterEach(() => cli.remove());

const haplan = (line: string | readonly string[], answers: readonly string[] | null = null): Promise<CliRun> =>
  cli.haplan(line, answers);
const apply = async (): Promise<void> =>
  expect(await haplan("apply -auto-approve three.yaml")).toMatchObject({ code: 0 });

const withoutTime = (line: string): string => line.replace(/^\S+Z /, "");

describe("logs", () => {
  it("refuses where nothing exists, with the command that makes it", async () => {
    const { code, err } = await haplan("logs -spec three.yaml");
    expect(code).toBe(1);
    expect(err).toContain("There are no logs");
    expect(err).toContain("    haplan apply three.yaml");
  });

  it("shows all nodes in the order of time, each with its name in front", async () => {
    await apply();
    const { code, out } = await haplan("logs -spec=three.yaml");
    expect(code).toBe(0);
    const lines = out.split("\n");
    expect(lines).toHaveLength(12);
    expect(lines.slice(0, 6).every((line) => line.includes("| line 1 of"))).toBe(true);
    expect(lines).toContainEqual(expect.stringMatching(/^1970-01-01T00:00:0\d\.000Z m1 {12}\| line 1 of agent$/));
    expect(lines).toContainEqual(expect.stringMatching(/^1970-\S+Z load-balancer \| line 2 of load-balancer$/));
  });

  it("shows the nodes that are named, and the last lines of a unit", async () => {
    await apply();
    expect((await haplan("logs m1 m2 m1 -n 1 -spec three.yaml")).out.split("\n").map(withoutTime).toSorted()).toEqual([
      "m1 | line 2 of agent",
      "m2 | line 2 of agent",
    ]);
    expect((await haplan("logs -unit worker -lines=1 -spec three.yaml")).out.split("\n")).toHaveLength(2);
  });

  it("names a node that cannot be read, shows the others, and exits with 1", async () => {
    await apply();
    cli.world.failing = (act) => (act === "logs m2" ? "no route to host" : null);
    const { code, out, err } = await haplan("logs -spec three.yaml");
    expect(code).toBe(1);
    expect(err).toContain("The log of m2 ends here");
    expect(err).toContain("no route to host");
    expect(out.split("\n")).toHaveLength(10);
  });

  it("streams events with -json", async () => {
    await apply();
    const { out } = await haplan("logs -json m1 -spec three.yaml");
    const [version, first] = out.split("\n").map((line) => JSON.parse(line));
    expect(version).toMatchObject({ type: "version" });
    expect(first).toMatchObject({
      type: "log",
      "@message": "line 1 of agent",
      log: { node: "m1", unit: "agent", time: expect.stringMatching(/^1970-01-01T00:00:0/) },
    });
  });

  it.each([
    ["logs m9 -spec three.yaml", "The cluster has no node m9", "Its nodes are m1, m2, m3, load-balancer, w1, w2."],
    ["logs three.yaml -spec three.yaml", "The cluster has no node three.yaml", "Name the spec with -spec."],
    ["logs -since yesterday -spec three.yaml", "-since yesterday is not a duration", "such as 30s"],
    ["logs -since 2026-99-99 -spec three.yaml", "-since 2026-99-99 is not a time", "or a time such as"],
    [
      "logs -unit nope -spec three.yaml",
      "-unit=nope is no unit",
      "Write one of agent, load-balancer, keepalived, relay, worker.",
    ],
    ["logs -n few -spec three.yaml", "-lines few is not a number of lines", "Write a number, or all."],
    ["exec m1 -spec three.yaml", "There is no command to run on m1", "haplan ssh m1"],
    ["exec m9 -spec three.yaml -- true", "The cluster has no node m9", "Its nodes are"],
  ])("refuses %s", async (line, summary, detail) => {
    const { code, err } = await haplan(line);
    expect(code).toBe(1);
    expect(err).toContain(summary);
    expect(err).toContain(detail);
  });
});

describe("the view of logs", () => {
  it("pads names, names additional units, and shows what a terminal would act on", () => {
    const view = createLogView(["m1", "lb-10"], createPaint(false));
    const entry = { unit: "agent", timeMs: 0, machine: "m1", message: "a\tb\u001b[31mred\u0007" };
    expect(view(entry)).toBe("1970-01-01T00:00:00.000Z m1    | a\tb\\x1b[31mred\\x07");
    expect(view({ ...entry, machine: "lb-10", unit: "keepalived", message: "" })).toBe(
      "1970-01-01T00:00:00.000Z lb-10/keepalived | ",
    );
  });
});

describe("exec and ssh", () => {
  it("run on the node, with the command's words as they are, and exit as the command does", async () => {
    await apply();
    const run = await haplan(["exec", "m1", "-spec=three.yaml", "--", "sh", "-c", "echo -n $HOME"]);
    expect(run.code).toBe(7);
    expect(cli.processes).toEqual(["shell m1 sh -c echo -n $HOME"]);
    expect((await haplan("ssh w1 -spec three.yaml")).code).toBe(7);
    expect(cli.processes.at(-1)).toBe("shell w1 login");
  });

  it("get a terminal where haplan has one, unless -no-tty says otherwise", async () => {
    await apply();
    await haplan("exec m1 -spec three.yaml -- top", []);
    await haplan("exec -no-tty m1 -spec three.yaml -- top", []);
    await haplan("exec -T m1 -spec three.yaml -- top", []);
    expect(cli.processes).toEqual(["shell m1 with a terminal top", "shell m1 top", "shell m1 top"]);
  });
});

describe("a request to stop", () => {
  it("goes to the handler alone, and to nothing once its work has ended", async () => {
    const left: number[] = [];
    const said: string[] = [];
    const stop = new StopRequests({
      leave: (code) => left.push(code),
      say: (text) => said.push(text),
      monotonicMs: () => 0,
    });
    const seen: string[] = [];
    await stop.handleWith(
      (request) => seen.push(request),
      async () => {
        stop.receive("SIGINT");
        stop.outputLost("EPIPE");
        stop.receive("SIGTERM");
      },
    );
    expect({ seen, left, said }).toEqual({ seen: ["SIGINT", "outputLost", "SIGTERM"], left: [], said: [] });
    stop.receive("SIGINT");
    expect(left).toEqual([1]);
  });
});
