import { spawnSync } from "node:child_process";
import { closeSync, constants, mkdtempSync, openSync, readFileSync, readSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { LogSink } from "./log-sink.ts";

const directory = mkdtempSync(join(tmpdir(), "haplan-log-sink-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const readable = constants.O_RDONLY | constants.O_NONBLOCK;

/** A pipe, with a reader that reads when it is told to. The writer's end blocks, as that of a shell's pipe does. */
function openPipe(name: string): { path: string; reader: number; writer: number } {
  const path = join(directory, name);
  spawnSync("mkfifo", [path]);
  const reader = openSync(path, readable);
  return { path, reader, writer: openSync(path, "w") };
}

/** What is in the pipe now. */
function readAll(descriptor: number): string {
  const buffer = Buffer.alloc(1 << 20);
  let length = 0;
  try {
    for (let read = -1; read !== 0; length += read)
      read = readSync(descriptor, buffer, length, buffer.length - length, null);
  } catch {
    // Nothing more at the moment.
  }
  return buffer.toString("utf8", 0, length);
}

it("R19: lines for a full disk are dropped and counted, and the program goes on", () => {
  const sink = new LogSink(openSync("/dev/full", "w"));
  sink.write("one\n");
  sink.write("two\nthree\n");
  expect(sink.droppedTotal).toBe(3);
});

it("R18: a reader that stops holds nothing up; its lines wait up to the bound, and what is dropped is told later", async () => {
  const { reader, writer } = openPipe("stopped");
  const recovered: unknown[] = [];
  const sink = new LogSink(writer, { waitingBytesMax: 200_000, onRecovered: (...told) => recovered.push(told) });
  const line = `${"x".repeat(999)}\n`;
  for (let count = 0; count < 1_000; count++) sink.write(line);
  const written = 1_000 - sink.droppedTotal;
  expect(written).toBeGreaterThan(200);
  expect(written).toBeLessThan(300);

  await sink.drain(20);
  let text = "";
  await expect.poll(() => (text += readAll(reader)).length, { interval: 10 }).toBe(written * line.length);
  expect(text).toBe(line.repeat(written));
  await sink.drain(1_000);
  expect(recovered).toEqual([[1_000 - written, "its reader is too slow"]]);
});

it("R18: at the end, a reader that has stopped is waited for no longer than told", () => {
  const { writer, reader } = openPipe("end");
  const sink = new LogSink(writer);
  sink.write(`${"x".repeat(200_000)}\n`);
  const startedAt = performance.now();
  sink.writeDirectly();
  sink.drainSync(100);
  expect(performance.now() - startedAt).toBeGreaterThan(90);
  expect(sink.droppedTotal).toBe(0);
  closeSync(reader);
});

it("R19: a line that was cut by an error is ended before the next one", async () => {
  const { path, reader, writer } = openPipe("cut");
  const sink = new LogSink(writer);
  sink.write(`cut ${"x".repeat(100_000)}\n`);
  closeSync(reader);
  await sink.drain(1_000);
  expect(sink.droppedTotal).toBe(1);

  const next = openSync(path, readable);
  expect(readAll(next)).toMatch(/^cut x+$/);
  sink.write("next\n");
  sink.write("after\n");
  expect(readAll(next)).toBe("\nnext\nafter\n");
  expect(sink.droppedTotal).toBe(1);
});

it("R18: a pipe that is written to by others as well is not made non-blocking for them", () => {
  const { reader, writer } = openPipe("shared");
  new LogSink(writer).write("ours\n");
  const flags = /^flags:\s*(\d+)/m.exec(readFileSync(`/proc/self/fdinfo/${writer}`, "utf8"))?.[1];
  expect(Number.parseInt(flags ?? "", 8) & constants.O_NONBLOCK).toBe(0);
  writeSync(writer, "theirs\n");
  expect(readAll(reader)).toBe("ours\ntheirs\n");
});

it("a file gets its lines in order, also those of the last moment", () => {
  const path = join(directory, "file.log");
  const sink = new LogSink(openSync(path, "a"));
  for (let count = 0; count < 100; count++) sink.write(`${count}\n`);
  sink.writeDirectly();
  sink.write("last\n");
  sink.drainSync(1_000);
  expect(readFileSync(path, "utf8")).toBe(`${Array.from({ length: 100 }, (_, at) => `${at}\n`).join("")}last\n`);
});
