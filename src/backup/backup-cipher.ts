/**
 * Encrypted backups. A header in plain JSON, then the snapshot in chunks of 64 KiB, each encrypted with AES-256-GCM
 * (NIST SP 800-38D) under a key of this file alone. The header is authenticated with every chunk, the nonce is the
 * chunk's number, and the last chunk is marked as such: a file that was changed, cut or reordered does not decrypt. Any
 * chunk can be decrypted alone, so that a backup is verified without a decrypted copy on disk.
 */
import {
  createCipheriv,
  createDecipheriv,
  createHash,
  hkdfSync,
  randomBytes,
  scryptSync,
  timingSafeEqual,
} from "node:crypto";
import { canonicalJson } from "../base/canonical-json.ts";
import { errorText, HaplanError } from "../base/haplan-error.ts";
import type { PageSource } from "../raft-agent/bbolt/page-source.ts";

/** What a key is derived from. */
export type BackupSecret =
  | { readonly kind: "key"; readonly key: Uint8Array }
  | { readonly kind: "passphrase"; readonly passphrase: string };

type KeyDerivation =
  | { readonly name: "hkdf-sha256"; readonly salt: string }
  | { readonly name: "scrypt"; readonly N: number; readonly r: number; readonly p: number; readonly salt: string };

type Header = {
  readonly version: 1;
  readonly cipher: "aes-256-gcm";
  readonly chunkBytes: number;
  readonly kdf: KeyDerivation;
  /** Distinguishes a wrong key from a damaged file. */
  readonly keyCheck: string;
};

const magic = Buffer.from("haplanBK");
const chunkBytes = 65_536;
const tagBytes = 16;
const headerBytesMax = 65_536;
/** 32 MiB and some 100 ms for each guess. */
const scryptCost = { N: 32_768, r: 8, p: 1 } as const;
const scryptMemoryMax = 512 * 1024 * 1024;
const cachedChunks = 64;

/** Encrypts a stream; the caller writes what the functions return, in order. */
export class BackupSealer {
  readonly #key: Buffer;
  readonly #authenticated: Buffer;
  #head: Buffer;
  #pending: Buffer = Buffer.alloc(0);
  #chunk = 0;

  constructor(secret: BackupSecret) {
    const salt = randomBytes(32).toString("base64");
    const kdf: KeyDerivation =
      secret.kind === "key" ? { name: "hkdf-sha256", salt } : { name: "scrypt", ...scryptCost, salt };
    const { key, check } = deriveKey(secret, kdf);
    const header: Header = { version: 1, cipher: "aes-256-gcm", chunkBytes, kdf, keyCheck: check.toString("base64") };
    const text = Buffer.from(canonicalJson(header));
    const length = Buffer.alloc(4);
    length.writeUInt32BE(text.length);
    this.#head = Buffer.concat([magic, length, text]);
    this.#authenticated = createHash("sha256").update(this.#head).digest();
    this.#key = key;
  }

  /** The bytes to write now. */
  add(piece: Uint8Array): Buffer {
    this.#pending = Buffer.concat([this.#pending, piece]);
    const sealed = [this.#takeHead()];
    // One chunk is held back: the last one is marked.
    while (this.#pending.length > chunkBytes) {
      sealed.push(this.#seal(this.#pending.subarray(0, chunkBytes), false));
      this.#pending = this.#pending.subarray(chunkBytes);
    }
    return Buffer.concat(sealed);
  }

  /** The bytes to write last. */
  end(): Buffer {
    return Buffer.concat([this.#takeHead(), this.#seal(this.#pending, true)]);
  }

  #takeHead(): Buffer {
    const head = this.#head;
    this.#head = Buffer.alloc(0);
    return head;
  }

  #seal(plain: Uint8Array, isLast: boolean): Buffer {
    const cipher = createCipheriv("aes-256-gcm", this.#key, nonceOf(this.#chunk++, isLast));
    cipher.setAAD(this.#authenticated);
    return Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
  }
}

/** Whether these are the first bytes of an encrypted backup. */
export function isSealedBackup(source: PageSource): boolean {
  return source.read(0, magic.length).equals(magic);
}

/**
 * The decrypted content of an encrypted backup.
 * @throws HaplanError `backup/wrong-key`, `backup/damaged`, `backup/too-new`; damage also on reading
 */
export function unsealedSource(
  path: string,
  source: PageSource & Disposable,
  secret: BackupSecret,
): PageSource & Disposable {
  const { header, head } = readHeader(path, source);
  const { key, check } = deriveKey(secret, header.kdf);
  const expected = Buffer.from(header.keyCheck, "base64");
  if (expected.length !== check.length || !timingSafeEqual(expected, check)) {
    throw new HaplanError(
      "backup/wrong-key",
      `Cannot decrypt "${path}": it was encrypted with another ${secret.kind}\nNothing was changed. Set backup.encryption in the spec to the ${secret.kind} that it was encrypted with.`,
    );
  }
  const authenticated = createHash("sha256").update(head).digest();
  const sealedBytes = chunkBytes + tagBytes;
  const bodyBytes = source.sizeBytes - head.length;
  const chunks = Math.max(1, Math.ceil(bodyBytes / sealedBytes));
  const open = (chunk: number): Buffer => {
    const sealed = source.read(head.length + chunk * sealedBytes, sealedBytes);
    try {
      const decipher = createDecipheriv("aes-256-gcm", key, nonceOf(chunk, chunk === chunks - 1), {
        authTagLength: tagBytes,
      });
      decipher.setAAD(authenticated);
      decipher.setAuthTag(sealed.subarray(sealed.length - tagBytes));
      return Buffer.concat([decipher.update(sealed.subarray(0, -tagBytes)), decipher.final()]);
    } catch (cause) {
      throw damaged(path, `chunk ${chunk + 1} of ${chunks} was changed or cut`, cause);
    }
  };
  const sizeBytes = bodyBytes - chunks * tagBytes;
  if (sizeBytes < 0) throw damaged(path, "it was cut");
  return {
    sizeBytes,
    read: readChunks(open, sizeBytes),
    [Symbol.dispose]: () => source[Symbol.dispose](),
  };
}

/** Random access over chunks, with the last ones kept: the pages of a database are read in no order. */
function readChunks(open: (chunk: number) => Buffer, sizeBytes: number): PageSource["read"] {
  const cache = new Map<number, Buffer>();
  const chunkAt = (chunk: number): Buffer => {
    const known = cache.get(chunk);
    if (known !== undefined) return known;
    const plain = open(chunk);
    if (cache.size >= cachedChunks) cache.delete(cache.keys().next().value!);
    cache.set(chunk, plain);
    return plain;
  };
  return (offset, length) => {
    const end = Math.min(sizeBytes, offset + length);
    const parts: Buffer[] = [];
    for (let at = offset; at < end; ) {
      const chunk = Math.floor(at / chunkBytes);
      const from = at - chunk * chunkBytes;
      const part = chunkAt(chunk).subarray(from, Math.min(chunkBytes, from + end - at));
      parts.push(part);
      at += part.length;
    }
    return Buffer.concat(parts);
  };
}

function readHeader(path: string, source: PageSource): { readonly header: Header; readonly head: Buffer } {
  const start = source.read(0, magic.length + 4);
  const length = start.length < magic.length + 4 ? 0 : start.readUInt32BE(magic.length);
  if (length === 0 || length > headerBytesMax) throw damaged(path, "its header is incomplete");
  const head = source.read(0, magic.length + 4 + length);
  let header: Partial<Header>;
  try {
    header = JSON.parse(head.toString("utf8", magic.length + 4)) as Partial<Header>;
  } catch (error) {
    throw damaged(path, `its header cannot be read: ${errorText(error)}`, error);
  }
  if (header.version !== 1) {
    throw new HaplanError(
      "backup/too-new",
      `The backup "${path}" has format version ${String(header.version)}, and this haplan reads version 1\nUse the newer haplan that wrote it. Nothing was changed.`,
    );
  }
  const isKnown = header.cipher === "aes-256-gcm" && header.chunkBytes === chunkBytes;
  if (!isKnown || typeof header.keyCheck !== "string" || !isDerivation(header.kdf))
    throw damaged(path, "its header is incomplete");
  return { header: header as Header, head };
}

/** A header is read before it is authenticated: it may not ask for any amount of memory. */
function isDerivation(kdf: unknown): kdf is KeyDerivation {
  if (typeof kdf !== "object" || kdf === null) return false;
  const { name, N, r, p, salt } = kdf as Record<string, unknown>;
  if (typeof salt !== "string") return false;
  if (name === "hkdf-sha256") return true;
  const numbers = [N, r, p].every((number) => Number.isSafeInteger(number) && (number as number) > 0);
  if (name !== "scrypt" || !numbers) return false;
  const cost = N as number;
  return cost >= 2 && (cost & (cost - 1)) === 0 && 128 * cost * (r as number) <= scryptMemoryMax && (p as number) <= 16;
}

/** 32 bytes of key and 8 that verify the secret. */
function deriveKey(secret: BackupSecret, kdf: KeyDerivation): { readonly key: Buffer; readonly check: Buffer } {
  const salt = Buffer.from(kdf.salt, "base64");
  // A key is never used as a passphrase nor the other way around: the file says which one it was.
  const input = secret.kind === "key" ? secret.key : Buffer.from(secret.passphrase.normalize("NFKC"));
  const bytes =
    kdf.name === "scrypt"
      ? scryptSync(input, salt, 40, { N: kdf.N, r: kdf.r, p: kdf.p, maxmem: 2 * scryptMemoryMax })
      : Buffer.from(hkdfSync("sha256", input, salt, "haplan backup", 40));
  return { key: bytes.subarray(0, 32), check: bytes.subarray(32) };
}

/** Unique within a file: its number, and whether it is the last. */
function nonceOf(chunk: number, isLast: boolean): Buffer {
  const nonce = Buffer.alloc(12);
  nonce.writeUInt8(isLast ? 1 : 0, 0);
  nonce.writeUIntBE(chunk, 6, 6);
  return nonce;
}

function damaged(path: string, reason: string, cause?: unknown): HaplanError {
  return new HaplanError("backup/damaged", `The backup "${path}" is damaged: ${reason}\nNothing was changed.`, {
    cause,
  });
}
