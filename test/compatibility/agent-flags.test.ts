/**
 * Compares, at the edge values of flags, variables and the configuration file, how a start of our agent ends with how
 * an etcd's does: accepted or rejected, with the same settings, members and addresses, except for what
 * docs/etcd-differences.md lists. `npm run test:soak` runs all of them; by default a few are compared.
 */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { findEtcdProgram } from "./etcd-programs.ts";
import { differenceOf, flagDifferences } from "./flag-differences.ts";
import { allStarts } from "./flag-edges.ts";
import type { Built } from "./go-build.ts";
import { isEtcdInstalled } from "./member-processes.ts";
import type { FlagEtcd } from "./member-start.ts";
import { compareStarts } from "./start-comparison.ts";

const isLong = process.env["HAPLAN_TEST_SOAK"] !== undefined;
const versions: readonly FlagEtcd[] = isLong ? ["3.4", "3.6", "3.7"] : ["3.6"];
const networks: Readonly<Record<FlagEtcd, string>> = { "3.4": "127.75", "3.6": "127.78", "3.7": "127.79" };
/** Starts that have been read differently before. */
const few =
  /^--(snapshot-count=(0x10|010)|quota-backend-bytes=9223372036854775807|listen-metrics-urls=http:\/HOST:2381|advertise-client-urls=https:\/\/HOST:443|log-level=INFO)$|^pre-vote: off$|^snapshot-count: 010$/;
const startMs = 5_000;

const installedEtcd = (): Built => (isEtcdInstalled() ? { path: "etcd" } : { missing: "etcd is not installed" });

describe.each(versions)("starts beside an etcd %s", (version) => {
  const starts = allStarts().filter(({ title }) => isLong || few.test(title));
  it("end the same way, except for the listed differences", { timeout: startMs * starts.length }, async ({ skip }) => {
    const etcd = version === "3.4" ? installedEtcd() : await findEtcdProgram(version, "etcd");
    if ("missing" in etcd) return skip(etcd.missing);
    const found = (
      await compareStarts(starts, { version, path: etcd.path }, { network: networks[version], atOnce: 4 })
    ).filter(({ is }) => is !== "equal");
    const unlisted = found.filter(({ title, is }) => differenceOf(title, is, version) === undefined);
    expect(unlisted).toEqual([]);
    const used = new Set(found.map(({ title, is }) => differenceOf(title, is, version)));
    const expected = flagDifferences.filter((one) => one.versions?.includes(version) ?? true);
    if (isLong) expect(expected.filter((one) => !used.has(one))).toEqual([]);
  });
});

it("starts differ only where the documentation says so", () => {
  const documented = readFileSync(new URL("../../docs/etcd-differences.md", import.meta.url), "utf8");
  const listed = new Set([...documented.matchAll(/^\| `(flag-[a-z-]+)`/gm)].map(([, id]) => id));
  expect([...listed].sort()).toEqual([...new Set(flagDifferences.map(({ id }) => id))].sort());
});
