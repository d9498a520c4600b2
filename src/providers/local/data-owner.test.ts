import { lstatSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { giveTo, pathsOfOthers } from "./data-owner.ts";

const isRoot = process.getuid?.() === 0;
const daemon = { userId: 1, groupId: 1 };
const root = { userId: 0, groupId: 0 };
let base: string;
let data: string;

beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), "haplan-data-owner-"));
  data = join(base, "data");
  mkdirSync(join(data, "member/wal"), { recursive: true });
  mkdirSync(join(data, "lost+found"));
  writeFileSync(join(data, "member/wal/0.wal"), "");
  writeFileSync(join(base, "elsewhere"), "");
  symlinkSync(join(base, "elsewhere"), join(data, "member/link"));
});
afterEach(() => rmSync(base, { recursive: true }));

describe.skipIf(!isRoot)(
  `the owner of a member's data${isRoot ? "" : " (skipped: files are given to others by root)"}`,
  () => {
    it("is found wanting at the topmost path of another user, and given to all below but not through links", () => {
      expect(pathsOfOthers(data, daemon)).toEqual([data]);
      giveTo(data, daemon);
      expect(pathsOfOthers(data, daemon)).toEqual([]);
      expect(lstatSync(join(data, "member/link")).uid).toBe(1);
      expect(lstatSync(join(base, "elsewhere")).uid).toBe(0);
      expect(lstatSync(join(data, "lost+found")).uid).toBe(0);
      giveTo(join(data, "member/wal"), root);
      expect(pathsOfOthers(data, daemon)).toEqual([join(data, "member/wal")]);
    });

    it("does not matter where there is no data", () => {
      expect(pathsOfOthers(join(base, "gone"), daemon)).toEqual([]);
      expect(() => giveTo(join(base, "gone"), daemon)).not.toThrow();
    });
  },
);
