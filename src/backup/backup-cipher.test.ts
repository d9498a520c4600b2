import { randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";
import { bytesSource, type PageSource } from "../raft-agent/bbolt/page-source.ts";
import { BackupSealer, type BackupSecret, isSealedBackup, unsealedSource } from "./backup-cipher.ts";

const secret: BackupSecret = { kind: "key", key: Buffer.alloc(32, 7) };
const chunk = 65_536;

function sealed(plain: Uint8Array, pieceBytes: number, by: BackupSecret = secret): Buffer {
  const sealer = new BackupSealer(by);
  const written: Buffer[] = [];
  for (let at = 0; at < plain.length; at += pieceBytes) written.push(sealer.add(plain.subarray(at, at + pieceBytes)));
  return Buffer.concat([...written, sealer.end()]);
}

function opened(bytes: Uint8Array, by: BackupSecret = secret): PageSource {
  return unsealedSource("a.db.enc", { ...bytesSource(bytes), [Symbol.dispose]: () => {} }, by);
}

function readAll(bytes: Uint8Array): Buffer {
  const source = opened(bytes);
  return source.read(0, source.sizeBytes);
}

describe("an encrypted backup", () => {
  it.each([0, 1, chunk - 1, chunk, chunk + 1, 3 * chunk, 3 * chunk + 17])(
    "of %d bytes is read as it was written, as a whole and in parts",
    (size) => {
      const plain = randomBytes(size);
      const bytes = sealed(plain, 10_007);
      expect(isSealedBackup(bytesSource(bytes))).toBe(true);
      expect(readAll(bytes).equals(plain)).toBe(true);
      const source = opened(bytes);
      for (const offset of [0, 1, chunk - 3, chunk, 2 * chunk + 5, size - 1, size].filter((at) => at >= 0)) {
        expect(source.read(offset, 10).equals(plain.subarray(offset, offset + 10))).toBe(true);
      }
    },
  );

  it("has nothing of its content in it, and differs each time", () => {
    const plain = Buffer.from("secret value ".repeat(1000));
    const [one, other] = [sealed(plain, 100), sealed(plain, 100)];
    expect(one.includes("secret value")).toBe(false);
    expect(one.equals(other)).toBe(false);
  });

  const plain = randomBytes(2 * chunk + 100);
  const whole = sealed(plain, chunk);
  const headBytes = whole.readUInt32BE(8) + 12;
  const flipped = (at: number): Buffer => {
    const bytes = Buffer.from(whole);
    bytes[at]! ^= 1;
    return bytes;
  };
  const piece = (n: number): Buffer =>
    whole.subarray(headBytes + n * (chunk + 16), headBytes + Math.min((n + 1) * (chunk + 16), whole.length));

  it.each<[string, Buffer]>([
    ["with a bit of its first chunk changed", flipped(headBytes + 5)],
    ["with a bit of its last byte changed", flipped(whole.length - 1)],
    ["cut by a byte", whole.subarray(0, -1)],
    ["cut at the end of a chunk", whole.subarray(0, headBytes + 2 * (chunk + 16))],
    ["cut within the header", whole.subarray(0, 40)],
    ["without content", whole.subarray(0, headBytes)],
    ["with two chunks swapped", Buffer.concat([whole.subarray(0, headBytes), piece(1), piece(0), piece(2)])],
    ["with something behind it", Buffer.concat([whole, Buffer.alloc(20)])],
    [
      "with another chunk size in its header",
      Buffer.from(whole.toString("latin1").replace("65536", "65537"), "latin1"),
    ],
  ])("%s is refused", (_, bytes) => {
    expect(() => readAll(bytes)).toThrow(/The backup "a.db.enc" is damaged/);
  });

  it("tells another key from damage", () => {
    const other: BackupSecret = { kind: "key", key: Buffer.alloc(32, 8) };
    expect(() => opened(whole, other)).toThrow(/it was encrypted with another key/);
    expect(() => opened(whole, { kind: "passphrase", passphrase: "correct horse battery" })).toThrow(
      /another passphrase/,
    );
  });

  it("of a newer format is refused as such", () => {
    const newer = Buffer.from(whole.toString("latin1").replace('"version":1', '"version":2'), "latin1");
    expect(() => opened(newer)).toThrow(/has format version 2, and this haplan reads version 1/);
  });

  it("is read with the passphrase that it was written with", () => {
    const phrase: BackupSecret = { kind: "passphrase", passphrase: "correct horse battery" };
    const bytes = sealed(plain, chunk, phrase);
    const source = opened(bytes, phrase);
    expect(source.read(0, source.sizeBytes).equals(plain)).toBe(true);
    expect(() => opened(bytes, { kind: "passphrase", passphrase: "another one of that length" })).toThrow(
      /another passphrase/,
    );
  });
});
