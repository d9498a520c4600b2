/** Records of etcd's log: what is written is read, and no changed byte goes unnoticed. */
import { describe, expect, it } from "vitest";
import { encodeRecord, RecordType, readRecords, type WalRecord } from "./wal-records.ts";

const texts = [
  "metadata",
  "",
  "an entry of some length, so that it spans more than one word",
  "x".repeat(700),
  "the last",
];
const preallocated = 4_096;

/** The records of `texts`, as etcd writes them, and where each begins. */
function writeLog(): { readonly bytes: Buffer; readonly begins: readonly number[] } {
  const pieces: Buffer[] = [];
  const begins: number[] = [];
  let [length, crc] = [0, 0];
  for (const text of texts) {
    const data = Buffer.from(text);
    const piece = encodeRecord(RecordType.entry, data, crc);
    crc = readRecords(piece, crc, () => {}).crc;
    begins.push(length);
    pieces.push(piece);
    length += piece.length;
  }
  return { bytes: Buffer.concat(pieces), begins };
}

function read(bytes: Buffer): { readonly found: readonly string[]; readonly end: ReturnType<typeof readRecords> } {
  const found: WalRecord[] = [];
  const end = readRecords(bytes, 0, (record) => found.push(record));
  return { found: found.map(({ data }) => Buffer.from(data).toString()), end };
}

describe("records of etcd's log", () => {
  const { bytes, begins } = writeLog();

  it.each([
    ["at the end of the file", 0],
    ["before what is preallocated", preallocated],
  ])("are read up to their end, %s", (_, more) => {
    const { found, end } = read(Buffer.concat([bytes, Buffer.alloc(more)]));
    expect(found).toEqual(texts);
    expect(end).toMatchObject({ offset: bytes.length, fault: null });
  });

  it("are torn where the file ends within one", () => {
    for (let length = 0; length < bytes.length; length += 1) {
      const { found, end } = read(Buffer.from(bytes.subarray(0, length)));
      const whole = begins.filter((begin) => begin <= length).length - 1;
      // A length that is cut says nothing.
      const isTold = length - begins[whole]! >= 8;
      expect({ length, found, torn: end.fault?.torn ?? false }).toEqual({
        length,
        found: texts.slice(0, whole),
        torn: isTold,
      });
    }
  });

  it("are torn where a sector of one was not written", () => {
    const cut = Buffer.from(bytes);
    cut.fill(0, 512, begins.at(-1));
    expect(read(cut).end.fault).toMatchObject({ torn: true });
  });

  it("end before one of which any byte was changed", () => {
    for (let at = 0; at < bytes.length; at += 1) {
      const changed = Buffer.from(bytes);
      changed[at] = changed[at]! ^ 0x11;
      const { found, end } = read(changed);
      const whole = begins.filter((begin) => begin <= at).length - 1;
      // Padding has no meaning.
      if (end.fault === null) expect(found).toEqual(texts);
      else expect({ at, found }).toEqual({ at, found: texts.slice(0, whole) });
    }
  });
});
