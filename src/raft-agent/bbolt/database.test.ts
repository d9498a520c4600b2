/** Databases written, read back, damaged; checked with etcdctl's own consistency check where it is installed. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createRandom } from "../../base/random.ts";
import { snapshotStatus } from "../etcd-snapshot/snapshot-status.ts";
import { DatabaseReader } from "./database-reader.ts";
import { type BucketSource, layOutDatabase, writeDatabase } from "./database-writer.ts";
import { damagedDatabase, defaultPageBytes } from "./page-format.ts";
import { bytesSource } from "./page-source.ts";

type Content = ReadonlyMap<string, readonly (readonly [key: Buffer, value: Buffer])[]>;

const hasEtcdctl = spawnSync("etcdctl", ["version"]).status === 0;
const { code: damagedCode } = damagedDatabase("");

/** A feed of `sliceEntries` at a time. */
function sourcesOf(content: Content, sliceEntries = 7): BucketSource[] {
  const sorted = [...content].sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  return sorted.map(([name, entries]) => ({
    name,
    open: () => {
      let at = 0;
      return (add) => {
        for (const end = Math.min(entries.length, at + sliceEntries); at < end; at++) add(...entries[at]!);
        return at < entries.length;
      };
    },
  }));
}

function encode(content: Content): Buffer {
  const sources = sourcesOf(content);
  const layingOut = layOutDatabase(sources);
  let step = layingOut.next();
  while (step.done !== true) step = layingOut.next();
  const bytes = Buffer.concat([...writeDatabase(sources, step.value)]);
  expect(bytes.length).toBe(step.value.sizeBytes);
  return bytes;
}

function decode(bytes: Buffer): Map<string, [string, string][]> {
  const reader = new DatabaseReader(bytesSource(bytes));
  const text = ({ key, value }: { key: Buffer; value: Buffer }): [string, string] => [
    key.toString("latin1"),
    value.toString("latin1"),
  ];
  return new Map(reader.bucketNames.map((name) => [name, Array.from(reader.entries(name), text)]));
}

function readable(content: Content): Map<string, [string, string][]> {
  return new Map(
    [...content].map(([name, entries]) => [
      name,
      entries.map(([key, value]): [string, string] => [key.toString("latin1"), value.toString("latin1")]),
    ]),
  );
}

/** Many small entries, a few spanning several pages, and keys that leave room for only one or two in a branch. */
function generate(seed: number, count: number): Content {
  const random = createRandom(seed);
  const filler = Buffer.from(Array.from({ length: 70_000 }, () => random.below(256)));
  const content = new Map<string, [Buffer, Buffer][]>([["empty", []]]);
  for (const name of ["a", "b", "names"]) {
    const keys = new Map<string, Buffer>();
    for (let i = 0; i < count; i++) {
      const long = random.below(100) === 0 ? random.below(6000) : random.below(40);
      const key = Buffer.concat([Buffer.from([random.below(256), random.below(256)]), filler.subarray(0, long)]);
      keys.set(key.toString("latin1"), key);
    }
    const entries = [...keys.values()].sort(Buffer.compare).map((key): [Buffer, Buffer] => {
      const length = random.below(200) === 0 ? random.below(filler.length) : random.below(200);
      return [key, filler.subarray(filler.length - length)];
    });
    content.set(name, entries);
  }
  return content;
}

/** Reads everything; a rejection is as good as a result, anything else is thrown. */
function readOrReject(bytes: Buffer): "read" | "rejected" {
  try {
    const reader = new DatabaseReader(bytesSource(bytes));
    for (const name of reader.bucketNames) for (const { key, value } of reader.entries(name)) void [key, value];
    return "read";
  } catch (error) {
    if ((error as { code?: string }).code === damagedCode) return "rejected";
    throw error;
  }
}

describe("bbolt database", () => {
  it("round-trips any content", () => {
    const entry = fc.tuple(fc.uint8Array({ minLength: 1, maxLength: 300 }), fc.uint8Array({ maxLength: 3000 }));
    const bucket = fc.uniqueArray(entry, { maxLength: 60, selector: ([key]) => Buffer.from(key).toString("hex") });
    const name = fc.string({ minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(fc.dictionary(name, bucket, { maxKeys: 5 }), (buckets) => {
        const content = new Map(
          Object.entries(buckets).map(([bucketName, entries]) => [
            bucketName,
            entries
              .map(([key, value]): [Buffer, Buffer] => [Buffer.from(key), Buffer.from(value)])
              .sort(([a], [b]) => Buffer.compare(a, b)),
          ]),
        );
        expect(decode(encode(content))).toEqual(readable(content));
      }),
      { numRuns: 100 },
    );
  });

  it("holds trees of several levels, long keys and values of many pages", () => {
    for (const seed of [1, 2, 3]) {
      const content = generate(seed, 2000);
      expect(decode(encode(content))).toEqual(readable(content));
    }
  });

  it.skipIf(!hasEtcdctl)("passes etcdctl's consistency check, with the same hash", () => {
    const directory = mkdtempSync(join(tmpdir(), "haplan-bbolt-"));
    try {
      for (const [at, content] of [generate(4, 3000), generate(5, 1), new Map()].entries()) {
        const bytes = encode(content);
        const path = join(directory, `${at}.db`);
        writeFileSync(path, bytes);
        const run = spawnSync("etcdctl", ["snapshot", "status", path, "-w", "json"], {
          env: { ...process.env, ETCDCTL_API: "3" },
          encoding: "utf8",
        });
        expect(run.stderr).toBe("");
        const ours = snapshotStatus(new DatabaseReader(bytesSource(bytes)));
        expect(JSON.parse(run.stdout)).toEqual({
          hash: ours.hash,
          revision: 0,
          totalKey: ours.totalKeys,
          totalSize: ours.totalBytes,
        });
      }
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });

  it("is read through its other meta page when one is damaged", () => {
    const content = generate(6, 50);
    for (const page of [0, 1]) {
      const bytes = encode(content);
      bytes.fill(0xff, page * defaultPageBytes, page * defaultPageBytes + 100);
      expect(decode(bytes)).toEqual(readable(content));
    }
  });

  it("is rejected when truncated anywhere", () => {
    const bytes = encode(generate(7, 200));
    for (let length = 0; length < bytes.length; length += 509) {
      expect(readOrReject(bytes.subarray(0, length))).toBe("rejected");
    }
    expect(readOrReject(bytes)).toBe("read");
  });

  it("is either read or rejected, whichever bit is flipped", () => {
    const whole = encode(generate(8, 300));
    const random = createRandom(9);
    let rejected = 0;
    for (let round = 0; round < 700; round++) {
      const bytes = Buffer.from(whole);
      // Headers and elements are the sensitive part: most flips go to the start of a page.
      const page = random.below(bytes.length / defaultPageBytes);
      const at = page * defaultPageBytes + random.below(round % 4 === 0 ? defaultPageBytes : 96);
      bytes[at] = round % 2 === 0 ? bytes[at]! ^ (1 << random.below(8)) : random.below(256);
      if (readOrReject(bytes) === "rejected") rejected++;
    }
    expect(rejected).toBeGreaterThan(150);
  });

  it("is rejected, without a loop, when a page refers to one of its ancestors", () => {
    const bytes = encode(generate(10, 600));
    const pages = bytes.length / defaultPageBytes;
    for (let page = 3; page < pages; page++) {
      const at = page * defaultPageBytes;
      if (bytes.readUInt32LE(at) !== page || bytes.readUInt16LE(at + 8) !== 1) continue;
      const copy = Buffer.from(bytes);
      copy.writeUInt32LE(page, at + 16 + 8);
      expect(readOrReject(copy)).toBe("rejected");
    }
  });
});
