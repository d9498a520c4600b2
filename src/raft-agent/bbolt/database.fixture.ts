/** Databases for tests, with buckets that the test chooses. */
import { type BucketSource, layOutDatabase, writeDatabase } from "./database-writer.ts";

export type BucketContent = readonly (readonly [key: Uint8Array, value: Uint8Array])[];

export function databaseBytes(content: { readonly [bucket: string]: BucketContent }): Buffer {
  const buckets = Object.entries(content).map(
    ([name, entries]): BucketSource => ({
      name,
      open: () => (add) => {
        for (const [key, value] of entries) add(key, value);
        return false;
      },
    }),
  );
  const layingOut = layOutDatabase(buckets);
  let step = layingOut.next();
  while (step.done !== true) step = layingOut.next();
  return Buffer.concat([...writeDatabase(buckets, step.value)]);
}
