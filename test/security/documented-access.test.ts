import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { StatusCode } from "../../src/raft-agent/api/status-code.ts";
import { createHarness } from "../support/single-member.ts";
import { type AccessRow, columns, type Outcome, readAccessTable } from "./access-tables.ts";
import { AccessTrial, pathOf } from "./access-trial.ts";
import { GuardedMember, type Holder, resolveEveryName } from "./guarded-member.ts";

const servedPaths = (await createHarness()).services.methods.map(({ path }) => path);
const clientRows = readAccessTable("The private service on the client port");
const peerRows = readAccessTable("The peer port");

/** The documented and the actual outcomes of the columns. */
async function outcomes(
  row: AccessRow,
  attempt: (holder: Holder, row: AccessRow) => Promise<Outcome>,
): Promise<string> {
  const found: string[] = [];
  for (const [title, holder] of columns) found.push(`${title}: ${await attempt(holder, row)}`);
  return found.join("; ");
}
const documented = (row: AccessRow): string => columns.map(([title], at) => `${title}: ${row.outcomes[at]}`).join("; ");
const titled = (rows: readonly AccessRow[]): [string, AccessRow][] =>
  rows.map((row) => [`${row.what} ${row.user}`, row]);

describe("acceptance 5: docs/security.md, where every name resolves,", () => {
  let restoreNames = (): void => {};
  let trial: AccessTrial;
  let member: GuardedMember;
  beforeAll(async () => {
    restoreNames = resolveEveryName();
    member = await GuardedMember.start();
    trial = new AccessTrial(member);
  });
  afterAll(async () => {
    restoreNames();
    await member.stop();
  });

  describe("before there are users", () => {
    it.each(titled(clientRows.filter(({ user }) => user === "off")))("documents the callers of %s", async (_, row) => {
      expect(await outcomes(row, (holder) => trial.overClientPort(holder, row))).toBe(documented(row));
    });
  });

  describe("with users", () => {
    beforeAll(() => trial.enableUsers());

    it.each(titled(clientRows.filter(({ user }) => user !== "off")))("documents the callers of %s", async (_, row) => {
      expect(await outcomes(row, (holder) => trial.overClientPort(holder, row))).toBe(documented(row));
    });

    it.each(titled(peerRows))("documents the senders of %s on the peer port", async (_, row) => {
      expect(await outcomes(row, (holder) => trial.overPeerPort(holder, row))).toBe(documented(row));
    });

    it("omits no method of the peer port", async () => {
      const named = new Set(peerRows.flatMap(({ methods }) => methods.map(pathOf)));
      const others = servedPaths.filter((path) => !named.has(path));
      const answered: string[] = [];
      for (const path of others) {
        const { code } = await trial.askAsPeer("m2", path.slice(path.lastIndexOf(".") + 1), "root", new Uint8Array(0));
        if (code !== StatusCode.unimplemented) answered.push(path);
      }
      expect(answered).toEqual([]);
    });
  });

  it("omits no method of the private service, and no user", () => {
    const served = servedPaths.filter((path) => path.startsWith("/haplan.v1."));
    const users = ["off", "none", "plain", "root"];
    const rows = new Set(clientRows.map(({ methods, user }) => `${pathOf(`Haplan/${methods[0]}`)} ${user}`));
    expect([...rows].toSorted()).toEqual(served.flatMap((path) => users.map((user) => `${path} ${user}`)).toSorted());
  });

  it("documents for each method on the peer port what a plain user and root may do", () => {
    const users = new Map<string, string[]>();
    for (const { what, user } of peerRows) users.set(what, [...(users.get(what) ?? []), user]);
    for (const [what, named] of users)
      expect([what, named.join()]).toEqual([what, named.length === 1 ? "" : "plain,root"]);
  });
});
