/** Every acknowledged write is present at the end, on every member, at the revision reported to the client. */
import { decodeKeyValue } from "../../../src/raft-agent/api/key-value.ts";
import type { Store } from "../../../src/raft-agent/mvcc/store.ts";
import type { MemberId } from "../../../src/raft-agent/raft/entry.ts";
import type { Operation } from "../history.ts";
import { Violation } from "../violation.ts";

export function checkDurability(operations: readonly Operation[], stores: ReadonlyMap<MemberId, Store>): void {
  for (const { key, value, revision } of operations) {
    if (revision === 0) continue;
    for (const [member, store] of stores) {
      if (revision < store.compactedRevision) continue;
      const kv = store.getAt(Buffer.from(key), revision);
      const found = kv === undefined ? null : decodeKeyValue(kv);
      if (value === null && found === null) continue;
      if (found?.modRevision === revision && Buffer.from(found.value).toString() === value) continue;
      throw new Violation(
        "durability",
        `the write of "${value?.replace(/x+$/, "")}" to ${key}, acknowledged at revision ${revision}, is missing on ${member}`,
      );
    }
  }
}
