/** Changes that are written but not yet committed to disk, in a form that reads can look through. */
import type { RevisionVisitor } from "./backend.ts";

type PendingValue = { readonly tombstone: boolean; readonly value: Uint8Array };

export class PendingWrites {
  /** Main revision → the changes with sub 0, 1, 2… (holes where compaction was quicker). */
  private readonly values = new Map<number, (PendingValue | undefined)[]>();
  /** Revision keys to delete from disk. */
  readonly deletions: { main: number; sub: number; tombstone: boolean }[] = [];
  /** Full metadata key → new value, null to delete. */
  readonly metadata: Map<string, Uint8Array | null> = new Map();
  operations = 0;
  bytes = 0;

  put(main: number, sub: number, tombstone: boolean, value: Uint8Array): void {
    this.operations++;
    this.bytes += value.length + 32;
    const changes = this.values.get(main);
    if (changes === undefined && sub === 0) this.values.set(main, [{ tombstone, value }]);
    else if (changes !== undefined) changes[sub] = { tombstone, value };
    else {
      const started: (PendingValue | undefined)[] = [];
      started[sub] = { tombstone, value };
      this.values.set(main, started);
    }
  }

  get(main: number, sub: number): Uint8Array | undefined {
    return this.values.get(main)?.[sub]?.value;
  }

  /** Forgets a change that never reached the disk; false when it is not here. */
  forget(main: number, sub: number): boolean {
    const changes = this.values.get(main);
    if (changes?.[sub] === undefined) return false;
    changes[sub] = undefined;
    return true;
  }

  delete(main: number, sub: number, tombstone: boolean): void {
    this.operations++;
    this.deletions.push({ main, sub, tombstone });
  }

  setMetadata(key: string, value: Uint8Array | null): void {
    this.operations++;
    this.bytes += key.length + (value?.length ?? 0);
    this.metadata.set(key, value);
  }

  /** Ascending from (`main`, `sub`); false when `visit` asked to stop. */
  scan(main: number, sub: number, visit: RevisionVisitor): boolean {
    for (const [oneMain, changes] of this.values) {
      if (oneMain < main) continue;
      for (let oneSub = oneMain === main ? sub : 0; oneSub < changes.length; oneSub++) {
        const change = changes[oneSub];
        if (change !== undefined && !visit(oneMain, oneSub, change.tombstone, change.value)) return false;
      }
    }
    return true;
  }
}
