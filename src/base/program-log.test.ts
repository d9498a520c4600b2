import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { rolldown } from "rolldown";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openFullPipe } from "../../test/crash/full-pipe.ts";

const directory = mkdtempSync(join(tmpdir(), "haplan-program-log-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const built = join(directory, "program-log.mjs");
beforeAll(async () => {
  const bundle = await rolldown({
    input: fileURLToPath(new URL("program-log.ts", import.meta.url)),
    platform: "node",
    transform: { target: "node20.19" },
  });
  await bundle.write({ file: built, format: "esm" });
  await bundle.close();
});

/** A program with a log on standard error that does `last`, and that hangs for good unless this ends it. */
function startProgram(last: string, standardError: number): ChildProcess {
  const program = `
    import { createProgramLog, logUncaughtErrors } from ${JSON.stringify(built)};
    const log = createProgramLog([2], {});
    logUncaughtErrors(log);
    setInterval(() => {}, 1_000);
    log.logger.info("started");
    log.logger.info("x".repeat(100));
    ${last}`;
  const options = ["--input-type=module", "-e", program];
  return spawn(process.execPath, options, { stdio: ["ignore", "ignore", standardError] });
}

/** Ends a process that hangs, which `null` tells. */
async function exitCode(child: ChildProcess): Promise<unknown> {
  const late = setTimeout(() => child.kill("SIGKILL"), 10_000);
  const [code] = await once(child, "exit");
  clearTimeout(late);
  return code;
}

describe.each([
  ["a full disk", () => openSync("/dev/full", "w")],
  ["a pipe that is full", () => openFullPipe(join(mkdtempSync(join(directory, "full-")), "pipe"))],
])("R18, R19: a log on %s", (_, open) => {
  it.concurrent.each([
    ["an error that is not caught", `setTimeout(() => { throw new Error("oops"); }, 10);`, 1],
    ["a promise that is rejected", `void Promise.reject(new Error("oops"));`, 1],
    ["its own end", `process.emitWarning("oops"); setTimeout(() => log.end(0), 50);`, 0],
  ])("does not keep a program from ending by %s", async (_case, last, expected) => {
    expect(await exitCode(startProgram(last, open()))).toBe(expected);
  });
});

it("R19: an error that is not caught is in the log, with its stack and behind all earlier lines", async () => {
  const path = join(directory, "errors.log");
  const last = `for (let at = 0; at < 50; at++) log.logger.info({ at }, "line"); null.boom;`;
  expect(await exitCode(startProgram(last, openSync(path, "a")))).toBe(1);
  const lines = readFileSync(path, "utf8").trim().split("\n");
  const parsed = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(parsed.slice(2, 52).map(({ at }) => at)).toEqual(Array.from({ length: 50 }, (_, at) => at));
  expect(parsed.at(-1)).toMatchObject({ msg: "an unexpected error ends this process", level: "fatal" });
  expect(parsed.at(-1)?.["stacktrace"]).toContain("TypeError");
});

it("R18: a log on a socket, as under systemd, whose other end does not read does not keep a program from ending", async () => {
  const path = join(directory, "journal.sock");
  const server = createServer({ pauseOnConnect: true }).listen(path);
  await once(server, "listening");
  const program = `
    import { connect } from "node:net";
    import { createProgramLog } from ${JSON.stringify(built)};
    const socket = connect(${JSON.stringify(path)}, () => {
      const log = createProgramLog([socket._handle.fd], {});
      for (let count = 0; count < 2_000; count++) log.logger.info("x".repeat(1_000));
      setTimeout(() => log.end(log.droppedLines() > 0 ? 7 : 8), 50);
    });`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", program], { stdio: "inherit" });
  expect(await exitCode(child)).toBe(7);
  server.close();
});
